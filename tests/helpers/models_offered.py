"""Candidates without anything behind them: what stands in the message of one."""

from __future__ import annotations

from schemas.common import ImageRef, digest
from schemas.model_set import LearnedV1, ModelSetV1
from tests.helpers.console import sha256

PAGE = b"<!doctype html><title>Candidate</title>"
REPORT = ImageRef(uri="file:///pages/1", sha256=sha256(PAGE), bytes=len(PAGE), content_type="text/html")


def learned(base: ModelSetV1, version: int, *classes: str) -> ModelSetV1:
    """A candidate that was compared with base. classes: those that base has not."""
    more = LearnedV1(base=digest(base), labels=9, new_classes=classes, parts=40, gained=8, lost=1, chance=0.04, report=REPORT)
    models = [one.model_copy(update={"ref": one.ref.model_copy(update={"version": version})}) for one in base.models]
    models = [one.model_copy(update={"classes": (*one.classes, *classes)}) if one.classes else one for one in models]
    return base.model_copy(update={"models": tuple(models), "learned": more})
