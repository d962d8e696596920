"""What must hold before a person may put a baseline in force, and the baseline that is made then.

Pure: production scores and facts in, unmet conditions and the message out. Nothing here decides to do it: a person does.
The sample is pooled production, defects at their usual rate included: that rate is what the tail is compared with from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Literal

from schemas.baseline import MOST_SCORES, BaselineV1, CertificateV1, SampleV1, ShiftV1
from schemas.drift import ScoreStreamV1
from schemas.ids import Digest, inspection_id
from streams.monitors.dirt import top_parts

_FARTHEST = 99.0  # sd: an anchor whose scores are all alike gives no scale
_ALARMS = ("baseline_up", "baseline_down", "baseline_shrink", "baseline_spread", "stale", "stuck")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One production part of the stream, as its anomaly evidence tells it. baseline: the stamp. at_ms: append time."""

    epoch: int
    n: int
    score: float
    at_ms: int
    lot: str | None = None
    tool: str | None = None
    baseline: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How much production a baseline is made of, at least. lots: counted where the line tells them."""

    parts: int = 10_000
    lots: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known beside the scores. alarms: kinds of the events since the sample's first part, in order.

    proofs: by kind of proof, why it is not proven; "" where it is. reviewed_by: who looked at the strangest parts.
    """

    alarms: tuple[str, ...] = ()
    proofs: dict[str, str] = field(default_factory=dict)
    reviewed_by: str | None = None
    deff: float | None = None


def pooled(parts: Iterable[Part], *, since: tuple[int, int] | None = None) -> list[Part]:
    """In the order of the line, each inspection once, the newest MOST_SCORES. since: the first (epoch, n) that counts."""
    known = {(part.epoch, part.n): part for part in parts if since is None or (part.epoch, part.n) >= since}
    return [known[place] for place in sorted(known)][-MOST_SCORES:]


def lots_of(parts: Sequence[Part]) -> tuple[int, ...]:
    """How many consecutive parts each lot gave; empty where the line did not tell every part's lot."""
    if any(part.lot is None for part in parts):
        return ()
    return tuple(len(list(group)) for _, group in groupby(parts, key=lambda part: part.lot))


def top(parts: Sequence[Part]) -> list[Part]:
    """The strangest 1 %, at least 5, the strangest first: what a person looks at before the sample is called good."""
    return [parts[place] for place in top_parts([part.score for part in parts])]


def unmet(parts: Sequence[Part], facts: Facts, wanted: Wanted) -> list[str]:
    """Conditions that do not hold, a plain line each with what to do; none where a person may sign."""
    lines = []
    if len(parts) < wanted.parts:
        lines.append(f"{len(parts):,} production parts, {wanted.parts:,} are wanted: wait, or say --min-parts and why")
    lots = len(lots_of(parts))
    if wanted.lots and not lots and facts.deff is None:
        lines.append("the line tells no lots, so their spread cannot be seen: declare --deff, or say --min-lots 0 and why")
    elif lots and lots < wanted.lots:
        lines.append(f"{lots} lots, {wanted.lots} are wanted: wait, or say --min-lots and why")
    if alarms := [kind for kind in facts.alarms if kind in _ALARMS]:
        lines.append(f"the drift monitor said {', '.join(dict.fromkeys(alarms))} within the sample: begin --since a later part")
    for proof, why in facts.proofs.items():
        if why:
            lines.append(f"the station is not proven ({proof}): {why}: see `verdictline challenge report`")
    if facts.reviewed_by is None:
        lines.append(
            f"nobody looked at the {len(top(parts))} strangest parts: see `verdictline baseline top`, then --reviewed-by NAME"
        )
    return lines


def sample_of(parts: Sequence[Part], *, arl0: float, deff: float | None) -> SampleV1:
    """Raises ValueError where there are no parts."""
    if not parts:
        raise ValueError("no production score: there is nothing to make a baseline of")
    scores = tuple(part.score for part in parts)
    return SampleV1(scores=scores, in_order=True, lots=lots_of(parts), deff=deff, arl0=arl0, commissioned=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A person's word. new_anchor: the shift lies outside the limit and was accepted all the same, so it begins a generation."""

    who: str
    why: str
    at: datetime
    new_anchor: bool


def commissioned(
    parts: Sequence[Part],
    sample: SampleV1,
    parent: BaselineV1,
    parent_digest: Digest,
    *,
    origin: Literal["commissioned", "refreshed"],
    shift_sd: float,
    scale: float,
    certificate: CertificateV1,
    signed: Signed,
) -> BaselineV1:
    """The child of `parent`. shift_sd, scale: of the sample against the anchor of the parent's generation."""
    shift = ShiftV1(
        baseline=parent_digest,
        shift_sd=min(max(shift_sd, -_FARTHEST), _FARTHEST),
        scale=min(max(scale, 1 / _FARTHEST), _FARTHEST),
        silent=not signed.new_anchor,
        who=signed.who,
        why=signed.why,
        at=signed.at,
    )
    return BaselineV1(
        stream=parent.stream,
        origin=origin,
        sample=sample,
        anchor=None if signed.new_anchor else parent.anchor or parent_digest,
        parent=parent_digest,
        generation=parent.generation + signed.new_anchor,
        ledger=(shift,) if signed.new_anchor else (*parent.ledger, shift),
        certificate=certificate,
        first=_named(parent.stream, parts[0]),
        last=_named(parent.stream, parts[-1]),
        at=signed.at,
    )


def _named(stream: ScoreStreamV1, part: Part) -> str:
    return str(inspection_id(stream.station, part.epoch, part.n))
