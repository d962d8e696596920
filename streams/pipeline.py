"""The map: a row per processor, in the order in which a part meets them. Knows topics and engines, no code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.topics import (
    ACT,
    BASELINE,
    CAPTURE,
    CHALLENGE,
    DRIFT,
    EMBEDDING,
    EVIDENCE,
    LABEL,
    MODEL_SET,
    POLICY,
    SEGMENT_REQUEST,
    SPC,
    TAXONOMY,
    VERDICT,
)

Processor = Literal["anomaly", "classification", "segmentation", "triage", "drift", "challenge", "spc", "sink", "console"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """name is also the consumer group, of those that read topics; the web reads without one. needs_triton: not ready while its
    models are not.
    """

    name: Processor
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    engine: Literal["Flow", "Exact", "faust", "web"]
    answers: str
    needs_triton: bool = False


PIPELINE: tuple[Row, ...] = (
    Row(
        name="anomaly",
        reads=(CAPTURE,),
        writes=(EVIDENCE, EMBEDDING),
        engine="Flow",
        answers="Does this part deviate from normal?",
        needs_triton=True,
    ),
    Row(
        name="classification",
        reads=(EMBEDDING, CAPTURE),
        writes=(EVIDENCE,),
        engine="Flow",
        answers="Is this a known defect, which one?",
        needs_triton=True,
    ),
    Row(
        name="segmentation",
        reads=(SEGMENT_REQUEST,),
        writes=(EVIDENCE,),
        engine="Flow",
        answers="Where exactly, how large, what shape?",
        needs_triton=True,
    ),
    Row(
        name="triage",
        reads=(EVIDENCE,),
        writes=(VERDICT, SEGMENT_REQUEST),
        engine="Exact",
        answers="What becomes of this part?",
    ),
    Row(
        name="drift",
        reads=(EVIDENCE,),
        writes=(DRIFT, BASELINE),
        engine="faust",
        answers="Do the scores still look like the baseline?",
    ),
    Row(
        name="challenge",
        reads=(VERDICT, CHALLENGE),
        writes=(CHALLENGE,),
        engine="faust",
        answers="Would this station still find a defect?",
    ),
    Row(
        name="spc",
        reads=(VERDICT, SPC),
        writes=(SPC,),
        engine="Exact",
        answers="Is the process in control?",
    ),
    Row(
        name="sink",
        reads=(EVIDENCE, VERDICT, LABEL, SPC, DRIFT, CHALLENGE, BASELINE, POLICY, MODEL_SET, TAXONOMY, ACT),
        writes=(),
        engine="Flow",
        answers="What happened, for report, console and what-if?",
    ),
    Row(
        name="console",
        reads=(EMBEDDING,),
        writes=(EVIDENCE, LABEL, TAXONOMY, ACT),
        engine="web",
        answers="What do people see, and who did what?",
    ),
)


def row(name: str) -> Row:
    """Raises KeyError with the names that exist."""
    for found in PIPELINE:
        if found.name == name:
            return found
    raise KeyError(f"no processor {name!r}; there are {', '.join(row.name for row in PIPELINE)}")
