"""A reviewer before the queue's page: reads its form, answers it, and reads what was sent."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from httpx2 import Response

from schemas.evidence import ReviewedV1
from schemas.label import LabelV1
from tests.helpers.console import Browser, Desk, rows

SCRIPTED = {"x-part": "1"}


def form(text: str) -> dict[str, str]:
    """inspection, revision, opinion of the part on the page; empty: nothing is left."""
    return {name: unescape(value) for name, value in re.findall(r'name="(inspection|revision|opinion)" value="([^"]*)"', text)}


def said(answer: Response) -> str:
    found = re.search(r'data-said="([^"]*)"', answer.text)
    assert found, answer.text[:2000]
    return unescape(found[1])


def look(browser: Browser) -> dict[str, str]:
    answer = browser.get("/queue")
    assert answer.status_code == 200, answer.text
    return form(answer.text)


def press(browser: Browser, fields: dict[str, str], answer: str, **more: str) -> Response:
    return browser.post("/queue/answer", {**fields, "answer": answer, **more}, page="/lines", **SCRIPTED)


def take_back(browser: Browser, answer: Response) -> Response:
    """The last answer, by the button that the page after it has."""
    found = re.search(r'name="number" value="(\d+)"', answer.text)
    assert found, answer.text[:2000]
    return browser.post("/queue/undo", {"number": found[1]}, page="/lines", **SCRIPTED)


def sent(desk: Desk) -> tuple[list[LabelV1], list[ReviewedV1]]:
    """What waits for Kafka: labels and decisions."""
    records: list[Any] = rows(desk)
    labels = [LabelV1.read(record.value) for record in records if record.topic == "label.v1"]
    return labels, [ReviewedV1.read(record.value) for record in records if record.topic == "evidence.v1"]
