"""Every message's committed JSON Schema, its good and its bad examples, against the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import schemas
from schemas.capture import EMBEDDING_TYPE, IMAGE_TYPE, context_of, embedded_image, image_content_type
from schemas.common import Message
from schemas.envelope import ContractError, envelope_of
from schemas.topics import TOPIC_OF, TOPICS

HOME = Path(schemas.__file__).parent
EXAMPLES = sorted((HOME / "examples").glob("*/*"))
MESSAGES = {message.TYPE: message for topic in TOPICS for message in topic.messages}


def name_of(path: Path) -> str:
    return f"{path.parent.name.removeprefix('verdictline.')}/{path.stem}"


def load(path: Path) -> Any:
    """What a reader makes of the example: a message of its data, or of its headers where the value is no JSON."""
    kind, data = path.parent.name, path.read_bytes()
    if kind in MESSAGES:
        return MESSAGES[kind].read(data)
    envelope = envelope_of((name, text.encode()) for name, text in json.loads(data).items())
    context_of(envelope)
    if kind == EMBEDDING_TYPE:
        return embedded_image(envelope)
    return image_content_type(envelope.content_type)


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_good_examples_load_and_bad_ones_do_not(path: Path) -> None:
    schema = json.loads((HOME / "json" / f"{path.parent.name}.json").read_text())
    if path.name.startswith("good-"):
        loaded = load(path)
        Draft202012Validator(schema).validate(json.loads(path.read_text()))
        if path.parent.name in MESSAGES:
            assert type(loaded).read(loaded.json_bytes()) == loaded
            Draft202012Validator(schema).validate(json.loads(loaded.json_bytes()))
    else:
        with pytest.raises(ContractError):
            load(path)


def test_every_type_has_good_and_bad_examples_and_no_file_is_an_orphan() -> None:
    found: dict[str, set[str]] = {}
    for path in EXAMPLES:
        assert path.suffix == ".json", path
        found.setdefault(path.parent.name, set()).add(path.name.split("-")[0])
    assert found == {kind: {"good", "bad"} for kind in [*MESSAGES, IMAGE_TYPE, EMBEDDING_TYPE]}
    assert min(sum(p.name.startswith("bad-") for p in EXAMPLES if p.parent.name == kind) for kind in found) >= 2


def test_every_message_class_is_in_the_table_of_topics() -> None:
    """With a type of its own that names its topic."""
    listed = [message for topic in TOPICS for message in topic.messages]
    defined = [c for c in all_subclasses(Message) if c.TYPE and c.__module__.startswith("schemas.")]
    assert sorted(m.TYPE for m in listed) == sorted(m.TYPE for m in defined)
    assert all(kind.split(".")[1] == name.removesuffix(".v1") for kind, name in TOPIC_OF.items())


def all_subclasses(of: type[Message]) -> set[type[Message]]:
    return {c for s in of.__subclasses__() for c in {s, *all_subclasses(s)}}


def test_a_json_schema_refuses_what_the_code_refuses() -> None:
    """All bad examples but those whose fault is one between fields, or no JSON at all."""
    between_fields = {
        "bad-counts-do-not-add-up",
        "bad-one-edge-too-many",
        "bad-defect-called-good",
        "bad-geometry-not-described",
        "bad-limit-on-both-sides",
        "bad-time-without-zone",
        "bad-lots-do-not-add-up",
        "bad-found-more-than-tried",
        "bad-digital-without-image",
        "bad-physical-without-custody",
        "bad-histograms-of-other-bins",
        "bad-cut-short",
        "bad-not-a-number",
        "bad-audit-without-a-share",
        "bad-challenge-in-production",
        "bad-stale-without-baseline",
        "bad-length-without-quantity",
        "bad-p-chart-of-a-length",
        "bad-subgroup-without-end",
        "bad-nonconforming-with-reviews",
        "bad-no-answer",
        "bad-class-of-a-good-part",
        "bad-class-of-no-taxonomy",
        "bad-one-view-means-two",
        "bad-withdraws-another-parts-label",
        "bad-audit-without-its-probability",
        "bad-class-called-good",
        "bad-two-of-one-name",
        "bad-split-into-one",
        "bad-acts-from-nowhere",
        "bad-class-that-vanished",
        "bad-neither-label-nor-name",
        "bad-borderline-of-another-cluster",
        "bad-audit-leaves-passes-out",
        "bad-audit-steps-go-down",
    }
    missed = set()
    for path in EXAMPLES:
        if path.name.startswith("bad-") and path.stem not in between_fields:
            schema = json.loads((HOME / "json" / f"{path.parent.name}.json").read_text())
            if Draft202012Validator(schema).is_valid(json.loads(path.read_text())):
                missed.add(name_of(path))
    assert not missed
