"""A baseline: the frozen sample of good parts' scores that a stream is judged against, and all that follows from it.

Immutable; its id is the digest of what it says. Tables and thresholds are part of it, so two machines judge alike to the last
bit. Nothing here adapts: a new sample makes a new baseline. Knows no stream and no state.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from schemas.common import canonical
from schemas.ids import Digest
from streams.monitors import recovery, tail
from streams.monitors.lots import deff_of, normal_scores
from streams.monitors.rules import Rules
from streams.monitors.state import Learning
from streams.monitors.stuck import Repeats, repeats_of
from streams.monitors.symbols import Bins, bins_of, body_bins, middles
from streams.monitors.tables import DIRECTIONS, FINE, UNIT, Alternative, family, increments, ratios, table
from streams.monitors.thresholds import octave_of, table_thresholds

CONF = 1.645  # one-sided 95 % for each table; all seven together hold in 80-84 %, 2.33 makes it 95 %
FORMAT = 1
MOST_SAMPLE = 2000
PROVISIONAL_UP_TO = 150  # scores; below it a jump of the defect rate is named in 3 of 4 cases only
_VISIBLE = 2.5


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """n: scores it was fitted from; deff, tail_deff: design effects of the scores, of the tail events; arl0: mean parts between
    false alarms; conf: see CONF; edges, counts, body: see `symbols.Bins`; alternatives, tables, thresholds: one each a CUSUM, in
    1/65536 nat; weights: untaxed ratios of the up tables and of spread; backward: a row a direction; rate: of tail events, None
    where it is still to be learned; reference_rate: of the sample; repeats: see `stuck`; sample: at most 2000 ascending scores.
    """

    id: Digest = ""
    n: int
    deff: float
    tail_deff: float
    arl0: float
    conf: float
    commissioned: bool
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    body: int
    alternatives: tuple[Alternative, ...]
    tables: tuple[tuple[int, ...], ...]
    thresholds: tuple[int, ...]
    weights: tuple[tuple[int, ...], ...]
    backward: tuple[tuple[int, ...], ...]
    rate: tail.Rate | None
    reference_rate: tail.Rate
    repeats: Repeats
    sample: tuple[float, ...]

    @property
    def bins(self) -> Bins:
        return Bins(edges=self.edges, counts=self.counts, body=self.body)

    @property
    def blind(self) -> bool:
        """All good parts fall into one bin: where they lie cannot be seen, only whether all of them rise above it."""
        return self.body < 2

    @property
    def smallest_shift(self) -> float:
        """The smallest shift it can show, in latent sd; infinite where it is blind."""
        return math.inf if self.blind else _VISIBLE / math.sqrt(self.n / self.deff)

    @property
    def provisional(self) -> bool:
        """Its events are to be marked as provisional: the sample is small."""
        return self.n <= PROVISIONAL_UP_TO

    @functools.cached_property
    def rules(self) -> Rules:
        """The same as the step wants it."""
        return Rules.of(
            edges=self.edges,
            body=self.body,
            tables=self.tables,
            thresholds=self.thresholds,
            weights=self.weights,
            backward=self.backward,
            directions=tuple(DIRECTIONS.index(alternative.direction) for alternative in self.alternatives),
            weighing=_weighing(self.alternatives),
            repeats=self.repeats,
        )

    @functools.cached_property
    def _first_rule(self) -> tail.TailRule:
        return tail.rule(self.rate or tail.ceiling(self.reference_rate), self.arl0)

    def tail_rule(self, learning: Learning | None) -> tail.TailRule:
        """Of tail events: from the known rate, else from what was learned, and until then from the most that may be learned."""
        if self.rate is not None or learning is None or not learning.done:
            return self._first_rule
        return tail.learned_rule(self.reference_rate, learning.events, learning.squares, self.arl0)

    @classmethod
    def fit(
        cls,
        scores: Sequence[float],
        lots: Sequence[Hashable] | None = None,
        *,
        arl0: float,
        conf: float = CONF,
        deff: float | None = None,
        commissioned: bool = False,
        time_ordered: bool = True,
        tail_rate: float | None = None,
    ) -> Self:
        """From scores of good parts, in the order of time where `time_ordered`.

        lots: one for each score; deff: declared, else estimated from lots or blocks of time; commissioned: the sample is pooled
        production, so its tail rate is known; tail_rate: the share of tail events that is normal, where the plant states it.
        Any n >= 1 works: ties make fewer bins, one score alone a blind baseline. Raises ValueError for no scores, one that is not
        finite, lots of another length, arl0, conf or deff out of range.
        """
        _check(scores, lots, arl0=arl0, conf=conf, deff=deff, tail_rate=tail_rate)
        values = [float(score) for score in scores]
        ordered = sorted(values)
        bins = bins_of(ordered)
        known = lots is not None or time_ordered
        if deff is None:
            deff = deff_of(normal_scores(values, ordered), lots) if known else 1.0
        events = np.asarray(values) > bins.edges[-1]
        tail_deff = deff_of(events.astype(np.float64), lots) if known else 1.0
        rate = tail.bounds(bins.masses[-1], len(values), tail_deff)
        made = cls._judging(bins, n=len(values), deff=deff, arl0=float(arl0), conf=conf) | {
            "commissioned": commissioned,
            "tail_deff": tail_deff,
            "rate": tail.known(tail_rate, tail_deff) if tail_rate else rate if commissioned else None,
            "reference_rate": rate,
            "repeats": repeats_of(values, time_ordered=time_ordered),
            "sample": tuple(ordered[i] for i in middles(len(ordered), MOST_SAMPLE)),
        }
        baseline = cls(**made)
        return replace(baseline, id=_id_of(baseline))

    @staticmethod
    def _judging(bins: Bins, *, n: int, deff: float, arl0: float, conf: float) -> dict[str, Any]:
        """What follows from bins, deff and budget."""
        alternatives = family(n / deff)
        masses = bins.masses
        h = table_thresholds(body_bins(n), alternatives, octave_of(max(1.0, arl0 / deff)))
        weighing = [alternatives[i] for i in _weighing(alternatives)]
        return {
            "n": n,
            "deff": deff,
            "arl0": arl0,
            "conf": conf,
            "edges": bins.edges,
            "counts": bins.counts,
            "body": bins.body,
            "alternatives": alternatives,
            "tables": tuple(table(masses, bins.body, a, n=n, deff=deff, conf=conf) for a in alternatives),
            "thresholds": tuple(math.ceil(UNIT * value) for value in h),
            "weights": tuple(
                increments([math.log(value) for value in ratios(masses, bins.body, a).values], 0.0, deff) for a in weighing
            ),
            "backward": tuple(recovery.table(masses, bins.body, d, n=n, deff=deff, conf=conf) for d in DIRECTIONS),
        }


def _weighing(alternatives: Sequence[Alternative]) -> tuple[int, ...]:
    """Which tables weigh a rise of the tail: those that a moved baseline could explain it with."""
    return tuple(i for i, a in enumerate(alternatives) if a not in FINE and a.direction in ("up", "spread"))


def dump(baseline: Baseline) -> dict[str, Any]:
    """As JSON data; `load(dump(b)) == b`."""
    return {"format": FORMAT, **asdict(baseline)}


def load(data: Mapping[str, Any]) -> Baseline:
    """Raises ValueError where the format is another one or the id is not the digest of the rest."""
    if data.get("format") != FORMAT:
        raise ValueError(f"a baseline of format {data.get('format')!r}: this version reads {FORMAT}")
    fields = {name: value for name, value in data.items() if name != "format"}
    rows = {name: tuple(map(tuple, fields[name])) for name in ("tables", "weights", "backward")}
    lists = {name: tuple(fields[name]) for name in ("edges", "counts", "thresholds", "sample")}
    parts = {
        "alternatives": tuple(Alternative(**alternative) for alternative in fields["alternatives"]),
        "rate": tail.Rate(**fields["rate"]) if fields["rate"] else None,
        "reference_rate": tail.Rate(**fields["reference_rate"]),
        "repeats": Repeats(**fields["repeats"]),
    }
    baseline = Baseline(**{**fields, **rows, **lists, **parts})
    if _id_of(baseline) != baseline.id:
        raise ValueError(f"baseline {baseline.id[:12]} was changed: its content has digest {_id_of(baseline)[:12]}")
    return baseline


def _id_of(baseline: Baseline) -> Digest:
    data = dump(baseline)
    del data["id"]
    return hashlib.sha256(canonical(data)).hexdigest()


def _check(
    scores: Sequence[float],
    lots: Sequence[Hashable] | None,
    *,
    arl0: float,
    conf: float,
    deff: float | None,
    tail_rate: float | None,
) -> None:
    if len(scores) == 0:
        raise ValueError("a baseline needs scores of good parts: there are none")
    wrong = next((i for i, score in enumerate(scores) if not math.isfinite(score)), None)
    if wrong is not None:
        raise ValueError(f"score {wrong} of {len(scores)} is {scores[wrong]}: leave out parts that have no finite score")
    if lots is not None and len(lots) != len(scores):
        raise ValueError(f"{len(lots)} lots for {len(scores)} scores: there must be one for each")
    if not 1 <= arl0 < math.inf:
        raise ValueError(f"arl0 is {arl0:g}: it is the mean number of parts between false alarms, at least 1")
    if not 0 <= conf < math.inf:
        raise ValueError(f"conf is {conf:g}: it is a normal quantile, 1.645 for 95 %")
    if deff is not None and not 1 <= deff < math.inf:
        raise ValueError(f"deff is {deff:g}: it is how many dependent parts are worth one, at least 1")
    if tail_rate is not None and not 0 < tail_rate < 0.9:
        raise ValueError(f"tail_rate is {tail_rate:g}: it is a share of parts, above 0 and below .9")
