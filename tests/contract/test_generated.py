"""The generated contract: fresh, and valid by the official schema of AsyncAPI 3.0.0 (kept here, from @asyncapi/specs)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from schemas.topics import TOPICS
from streams.pipeline import PIPELINE
from tools.contract import HOME, files

DOCUMENT = yaml.safe_load((HOME / "asyncapi.yaml").read_text())
OFFICIAL = json.loads((Path(__file__).parent / "asyncapi-3.0.0.schema.json").read_text())


def test_committed_files_are_what_the_code_generates() -> None:
    stale = {path.name for path, text in files().items() if not path.exists() or path.read_text() != text}
    orphans = {path.name for path in (HOME / "json").iterdir()} - {path.name for path in files()}
    assert (stale, orphans) == (set(), set()), "run python -m tools.contract"


def test_each_json_schema_is_one() -> None:
    for path in (HOME / "json").iterdir():
        Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_asyncapi_is_valid() -> None:
    faults = [f"{e.json_path}: {e.message[:200]}" for e in Draft7Validator(OFFICIAL).iter_errors(DOCUMENT)]
    assert not faults
    DOCUMENT["channels"]["verdict-v1"]["adress"] = "a typing error"
    try:
        assert not Draft7Validator(OFFICIAL).is_valid(DOCUMENT)
    finally:
        del DOCUMENT["channels"]["verdict-v1"]["adress"]


def test_asyncapi_says_what_the_code_does() -> None:
    kafka = {c["address"]: c["bindings"]["kafka"] for c in DOCUMENT["channels"].values()}
    assert {name: binding["partitions"] for name, binding in kafka.items()} == {t.name: t.partitions for t in TOPICS}
    groups = {
        o["bindings"]["kafka"]["groupId"]["const"] for o in DOCUMENT["operations"].values() if "groupId" in o["bindings"]["kafka"]
    }
    assert groups == {row.name for row in PIPELINE if row.reads and row.engine != "web"}  # its reader belongs to none


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        if reference.startswith("#/"):
            node: Any = DOCUMENT
            for part in reference[2:].split("/"):
                node = node[part]
        else:
            assert (HOME / reference).is_file(), reference


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [r for item in node for r in references(item)]
    if isinstance(node, dict):
        return [v if k == "$ref" else r for k, v in node.items() for r in ([v] if k == "$ref" else references(v))]
    return []
