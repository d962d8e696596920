"""Embeddings on a real topic lead to a cluster on a page; its naming and the undoing of it are on the topics."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from schemas.act import ActV1
from schemas.envelope import Received, Record
from schemas.label import LabelV1
from schemas.taxonomy import ClassProposalV1, TaxonomyV1
from schemas.topics import ACT, LABEL, TAXONOMY
from streams.wiring.adapters.kafka import Writer, read_all
from streams.wiring.adapters.topics import apply_topics
from streams.workbench.processes import free_ports
from tests.helpers.console import PASSWORD, token_of
from tests.helpers.embeddings import embedding
from tests.helpers.servers import SharedKafka
from tests.helpers.unknowns import part, plant
from tests.helpers.wait import wait_until
from tests.kafka.test_console import answers, first_link, form, running

pytestmark = pytest.mark.kafka
_WAIT_S = 90.0


def of(client: dict[str, Any], topic: str, kind: Any, about: str) -> list[Any]:
    """Messages of that kind on the topic that name this product or site, in the log's order."""
    records = [one for one in read_all(client, [topic]) if one.header("ce_type") == kind.TYPE]
    return [kind.read(one.value or b"") for one in records if about.encode() in (one.value or b"")]


def filled(page: httpx2.Response) -> dict[str, str]:
    """The form of a cluster's page: every doubtful part belongs."""
    hidden = dict(re.findall(r'type="hidden" name="(cluster|drawn_ms)" value="([^"]+)"', page.text))
    return {**hidden, **dict.fromkeys(re.findall(r'name="(b-\d+)" value="in"', page.text), "in")}


def test_from_embeddings_to_a_class_and_back(kafka: SharedKafka, tmp_path: Path) -> None:
    client = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    site, product = kafka.fresh("site"), kafka.fresh("disc")
    found, writer = plant(9, 7, site=site, product=product), Writer(client)
    odd = [embedding(part(90, site), value, product=product) for value in (b"", b"odd", bytes(96))]
    everything: list[Received | Record] = [*found.log, *odd, *found.embeddings]
    for record in everything:
        writer.send(Record(topic=record.topic, key=record.key, value=record.value, headers=record.headers))
    writer.flush()
    port = str(free_ports(1)[0])
    url, name = f"http://127.0.0.1:{port}", kafka.fresh("chief")
    with ExitStack() as stack:
        stack.enter_context(running("sink", kafka.bootstrap, tmp_path))
        console = stack.enter_context(running("console", kafka.bootstrap, tmp_path, VERDICTLINE_CONSOLE_PORT=port))
        wait_until(lambda: answers(url), _WAIT_S, "the console")
        link = wait_until(lambda: first_link(tmp_path / "console.log"), _WAIT_S, "the one-time link")
        browser = stack.enter_context(httpx2.Client(base_url=url, timeout=60))
        fields = {"link": token_of(link), "name": name, "password": PASSWORD, "again": PASSWORD}
        assert browser.post("/welcome", data=form(browser.get(link), **fields)).status_code == 303

        cluster = wait_until(lambda: _cluster(browser, 9, product), _WAIT_S, "nine parts in one heap")
        page = browser.get("/unknowns/cluster", params={"id": cluster})
        small = browser.get("/inspection/thumbnail", params={"id": found.heaps[0][0], "view": "v1"})
        assert (small.status_code, small.headers["content-type"]) == (200, "image/svg+xml")
        sent = form(page, **filled(page), name="Rim chip", why="the same chip on both lines")
        answer = browser.post("/unknowns/name", data=sent)
        assert answer.status_code == 303, answer.text
        proposal = answer.headers["location"].rpartition("done=")[2]

        wait_until(lambda: len(of(client, LABEL, LabelV1, site)) == 9, _WAIT_S, "nine labels on label.v1")
        labels = of(client, LABEL, LabelV1, site)
        assert sorted(one.inspection for one in labels) == sorted(found.heaps[0])
        assert {(one.label, one.shown, one.proposal, one.who) for one in labels} == {("rim-chip", "cluster", proposal, name)}
        (said,) = of(client, TAXONOMY, ClassProposalV1, product)
        assert (said.id, said.name, len(said.borderline), said.withdrawn) == (proposal, "Rim chip", 3, False)
        versions = of(client, TAXONOMY, TaxonomyV1, product)
        assert [len(version.classes) for version in versions] == [2, 3]
        wait_until(lambda: len(_acts(client, product)) == 4, _WAIT_S, "the acts")
        assert sorted(_acts(client, product)) == ["proposal_accepted", "proposal_made", *["taxonomy_in_force"] * 2]

        undo = form(browser.get("/unknowns"), proposal=proposal)
        assert browser.post("/unknowns/undo", data=undo).status_code == 303
        wait_until(lambda: len(of(client, LABEL, LabelV1, site)) == 18, _WAIT_S, "nine labels more")
        back = [one for one in of(client, LABEL, LabelV1, site) if one.answer is None]
        assert {one.withdraws for one in back} == {one.id for one in labels}
        assert [one.withdrawn for one in of(client, TAXONOMY, ClassProposalV1, product)] == [False, True]

        console.kill()
        console.wait()
        again = stack.enter_context(running("console", kafka.bootstrap, tmp_path, VERDICTLINE_CONSOLE_PORT=port))
        wait_until(lambda: answers(url), _WAIT_S, "the console again")
        wait_until(lambda: _cluster(browser, 9, product), 2 * _WAIT_S, "the same nine parts, unknown again")
        again.terminate()
        assert again.wait(30) == 0
    assert (tmp_path / "console.log").read_text(encoding="utf-8").count("an embedding is passed over") >= 3


def _acts(client: dict[str, Any], product: str) -> list[str]:
    return [one.act for one in of(client, ACT, ActV1, f"current/{product}")]


def _cluster(browser: httpx2.Client, size: int, product: str) -> str | None:
    """The digest of a heap of that size."""
    answer = browser.get("/unknowns")
    found = re.search(rf'id=([0-9a-f]{{16}})">{size} parts of {product}<', answer.text)
    return found[1] if found else None
