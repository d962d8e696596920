"""Reviewers as a gauge: against parts whose answer is known, and against each other. Pure; shown to engineers only.

Against the known: challenge parts. Not the outcome of double reviews: whoever took part in it agrees with himself.
Against each other: blind double reviews, kappa and the counts that it comes from; and how often two others overruled a person.
`unsure` is no call: it is counted apart, and asked of somebody else (streams/review/claims.py).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from streams.monitors.shares import Share, exact_share
from streams.review.agreement import Appraisal, Kappa, Trials, appraise, cohen, crossed, fleiss
from streams.review.claims import Said

CALLS = ("good", "defect")
GOOD = "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One answer to a challenge part. part: the same for every showing of it; label: its class; None: a good part."""

    part: str
    said: Said
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassGauge:
    """Of showings of this class: missed: called good; named: called this very class. Of showings of good parts: false_alarm:
    called this class. Clopper and Pearson, 95 %.
    """

    missed: Share
    named: Share
    false_alarm: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewerGauge:
    """appraisal: None without an answer to a known part. unsure: of all answers to known parts. classes: those of parts that the
    person was shown, and those that they called good parts.

    overruled: of double reviews with three opinions, those in which the other two agreed against this person.
    """

    who: str
    appraisal: Appraisal | None
    unsure: Share
    classes: dict[str, ClassGauge]
    overruled: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class PairGauge:
    """Two people on the same parts, blind. cells: (first's call, second's call), good then defect; unsure: parts left out.

    kappa: None where they share no part. named: kappa over classes too, of parts that both called.
    """

    first: str
    second: str
    cells: tuple[tuple[int, int], tuple[int, int]]
    unsure: int
    kappa: Kappa | None
    named: Kappa | None


def reviewers(known: Sequence[Known], reviews: Sequence[Sequence[Said]]) -> list[ReviewerGauge]:
    """By name. reviews: the opinions on each part, in their order."""
    answers: defaultdict[str, list[Known]] = defaultdict(list)
    for one in known:
        answers[one.said.who].append(one)
    people = {*answers, *(said.who for opinions in reviews for said in opinions)}
    return [_reviewer(who, answers[who], reviews) for who in sorted(people)]


def pairs(reviews: Sequence[Sequence[Said]]) -> list[PairGauge]:
    """Every two people who have looked at the same part."""
    shared: defaultdict[tuple[str, str], list[tuple[Said, Said]]] = defaultdict(list)
    for opinions in reviews:
        for one, other in combinations(sorted(opinions, key=lambda said: said.who), 2):
            shared[one.who, other.who].append((one, other))
    return [_pair(first, second, both) for (first, second), both in sorted(shared.items())]


def together(reviews: Sequence[Sequence[Said]], opinions: int = 2) -> float | None:
    """Fleiss' kappa of good and defect over parts with that many opinions, none of them unsure; None where it does not exist."""
    rows = [
        [sum(said.answer == call for said in one) for call in CALLS]
        for one in reviews
        if len(one) == opinions and all(said.answer in CALLS for said in one)
    ]
    return fleiss(rows) if rows else None


def _reviewer(who: str, known: Sequence[Known], reviews: Sequence[Sequence[Said]]) -> ReviewerGauge:
    called = [one for one in known if one.said.answer in CALLS]
    trials: defaultdict[str, list[Known]] = defaultdict(list)
    for one in called:
        trials[one.part].append(one)
    parts = [
        Trials(bad=_bad(these[0]), called_bad=tuple(one.said.answer == "defect" for one in these)) for these in trials.values()
    ]
    good = [one.said.label for one in called if not _bad(one)]
    labels = {one.label for one in called if _bad(one)} | {*good}
    outvoted = [
        _overruled(who, opinions) for opinions in reviews if len(opinions) == 3 and who in {said.who for said in opinions}
    ]
    return ReviewerGauge(
        who=who,
        appraisal=appraise(parts) if parts else None,
        unsure=exact_share(len(known) - len(called), len(known)),
        classes={label: _class(label, called, good) for label in sorted(filter(None, labels))},
        overruled=exact_share(sum(outvoted), len(outvoted)),
    )


def _class(label: str, called: Sequence[Known], good: Sequence[str | None]) -> ClassGauge:
    """good: what the person called each showing of a good part: its class, None: good, or a kind without a name."""
    shown = [one.said for one in called if one.label == label]
    return ClassGauge(
        missed=exact_share(sum(said.answer == "good" for said in shown), len(shown)),
        named=exact_share(sum(said.label == label for said in shown), len(shown)),
        false_alarm=exact_share(good.count(label), len(good)),
    )


def _bad(one: Known) -> bool:
    return one.label is not None and one.label != GOOD


def _overruled(who: str, opinions: Sequence[Said]) -> bool:
    meaning, n = Counter(said.meaning for said in opinions).most_common(1)[0]
    own = next(said.meaning for said in opinions if said.who == who)
    return n == 2 and own != meaning and meaning[0] != "unsure"


def _pair(first: str, second: str, both: Sequence[tuple[Said, Said]]) -> PairGauge:
    called = [(one, other) for one, other in both if one.answer in CALLS and other.answer in CALLS]
    ones, others = [one.answer for one, _ in called], [other.answer for _, other in called]
    cells = crossed(ones, others, CALLS)
    names = sorted({str(said.label or said.answer) for pair in called for said in pair})
    named = crossed([str(a.label or a.answer) for a, _ in called], [str(b.label or b.answer) for _, b in called], names)
    return PairGauge(
        first=first,
        second=second,
        cells=((cells[0][0], cells[0][1]), (cells[1][0], cells[1][1])),
        unsure=len(both) - len(called),
        kappa=cohen(cells) if called else None,
        named=cohen(named) if called else None,
    )
