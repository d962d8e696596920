"""What the verdicts were worth, as far as anybody knows: true and false rejects, escapes, the true defect rate.

Where nothing can be claimed it says so. Intervals are 95 %; the numbers are those of shares.py, true_rate.py, escape_bound.py
and agreement.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.challenge import ChallengeResultV1
from schemas.common import Disposition
from streams.monitors.shares import Share, exact_share, share
from streams.monitors.spc.true_rate import Audit, Proof, Rate, audited_rate, lang_reiczigel, rogan_gladen
from streams.review import escape_bound
from streams.review.agreement import Kappa, cohen, crossed
from streams.wiring.adapters.database.ask_report import First, Known, Passes, Twice
from streams.wiring.report.production import DISPOSITIONS

_REJECTS = ("rework", "scrap", "review")
_ANSWERS = ("good", "defect", "unsure")
Method = Literal["none", "clopper_pearson", "betting", "unequal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Parts of which the policy first said this, how many of them people looked at, and what those are. good_share: of looked."""

    first: Disposition
    n: int
    looked: int
    good: int
    bad: int
    good_share: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """false_rejects, true_rejects: of the parts not passed (rework, scrap, review) that people looked at. all_looked: every one.

    agreement: of first and second looks; None where nobody looked twice. twice: how many parts, or views of one, were.
    """

    product: str
    rows: tuple[Looked, ...]
    true_rejects: Share
    false_rejects: Share
    rejects: int
    all_looked: bool
    twice: int
    agreement: Kappa | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Escapes:
    """Of one product's passes: drawn for blind review, answered, found bad. low, high: of the share of bad parts among passes.

    waiting: drawn and not answered; high takes all of them for bad, low for good. method: `clopper_pearson` where every pass
    was drawn with one probability, `betting` (review/escape_bound.py, one-sided) where there are several; no claim, so 0 and 1:
    `none` where nothing was answered, `unequal` where it is not known with which of several an answered pass was drawn.
    share: of bad parts among passes, each one found weighed by 1 / its probability (D. Horvitz, D. Thompson, J. Am. Stat. Assoc.
    47 (1952) 663); None where nothing is claimed, or some wait for an answer.
    """

    product: str
    passes: int
    drawn: int
    answered: int
    waiting: int
    bad: int
    method: Method
    share: float | None
    low: float
    high: float
    claimed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DefectRate:
    """apparent: rework, scrap and review of these and pass, as the policy said before anybody looked: challenge parts, which show
    how the policy errs, count as caught by the same. proof: challenge parts of the window, painted ones left out.

    corrected: Lang and Reiczigel's estimate and interval; rogan_gladen: the plain estimate. audited: from reviewed rejects and
    the audit of passes. why: what is missing where one is None.
    """

    product: str
    apparent: Share
    proof: Proof | None
    rogan_gladen: float | None
    corrected: Rate | None
    audited: Rate | None
    why: tuple[str, ...]


def truths(firsts: Iterable[First], known: Sequence[Known], twice: Sequence[Twice]) -> tuple[Truth, ...]:
    counted: dict[str, Counter[Disposition]] = {}
    for one in firsts:
        counted.setdefault(one.product, Counter())[one.first] += one.n
    products = sorted({*counted, *(one.product for one in twice)})
    return tuple(_truth(product, counted.get(product, Counter()), known, twice) for product in products)


def _truth(product: str, counted: Counter[Disposition], known: Sequence[Known], twice: Sequence[Twice]) -> Truth:
    mine = [one for one in known if one.product == product]
    rows = tuple(_looked(first, counted[first], [one for one in mine if one.first == first]) for first in DISPOSITIONS)
    rejects = [row for row in rows if row.first in _REJECTS]
    looked = sum(row.looked for row in rejects)
    pairs = [one for one in twice if one.product == product]
    return Truth(
        product=product,
        rows=rows,
        true_rejects=exact_share(sum(row.bad for row in rejects), looked),
        false_rejects=exact_share(sum(row.good for row in rejects), looked),
        rejects=sum(row.n for row in rejects),
        all_looked=looked == sum(row.n for row in rejects),
        twice=sum(one.n for one in pairs),
        agreement=_agreement(pairs),
    )


def _looked(first: Disposition, n: int, known: Sequence[Known]) -> Looked:
    good = sum(one.n for one in known if one.truth == "good")
    bad = sum(one.n for one in known if one.truth == "defect")
    return Looked(first=first, n=n, looked=good + bad, good=good, bad=bad, good_share=exact_share(good, good + bad))


def _agreement(pairs: Sequence[Twice]) -> Kappa | None:
    if not pairs:
        return None
    answers = [(one.first, one.second) for one in pairs for _ in range(one.n)]
    return cohen(crossed([one for one, _ in answers], [other for _, other in answers], _ANSWERS))


def escapes(passes: Sequence[Passes]) -> tuple[Escapes, ...]:
    return tuple(
        _escapes(product, [one for one in passes if one.product == product])
        for product in sorted({one.product for one in passes})
    )


def _escapes(product: str, rows: Sequence[Passes]) -> Escapes:
    drawn = [one for one in rows if one.drawn]
    answered = sum(one.n for one in drawn if one.bad is not None)
    bad, n, passed = sum(one.n for one in drawn if one.bad), sum(one.n for one in drawn), sum(one.n for one in rows)
    method = _method(rows, answered)
    value, low, high = None, 0.0, 1.0
    if method == "clopper_pearson":
        value, low, high = bad / answered, exact_share(bad, n).low, exact_share(bad + n - answered, n).high
    if method == "betting":
        low, high = bad / passed, _bet(rows)
        value = min(high, sum(one.n / one.probability for one in drawn if one.bad and one.probability) / passed)
    return Escapes(
        product=product,
        passes=passed,
        drawn=n,
        answered=answered,
        waiting=n - answered,
        bad=bad,
        method=method,
        share=value if n == answered else None,
        low=low,
        high=high,
        claimed=method in ("clopper_pearson", "betting"),
    )


def _method(rows: Sequence[Passes], answered: int) -> Method:
    chances = {one.probability for one in rows if one.bad is None or (one.drawn and one.probability is not None)}
    if not answered:
        return "none"
    if len(chances) <= 1:
        return "clopper_pearson"
    unknown = None in chances or any(one.probability is None for one in rows if one.drawn)
    return "unequal" if unknown else "betting"


def _bet(rows: Sequence[Passes]) -> float:
    """Of passes drawn with several known probabilities. Those that wait for an answer are taken for bad."""
    found = escape_bound.Audit(design=escape_bound.Design(floor=min(one.probability for one in rows if one.probability)))
    pending: list[float] = []
    for one in rows:
        if not one.drawn:
            found = escape_bound.passed(found, one.probability, one.n)
        elif one.bad is None:
            pending += [one.probability or 0.0] * one.n
        else:
            for _ in range(one.n):
                found = escape_bound.audited(found, one.probability or 0.0, one.bad)
    bound = escape_bound.escape_bound(found, pending)
    return min(1.0, (bound.escapes + bound.uncovered) / sum(one.n for one in rows))


def defect_rates(
    truth: Sequence[Truth], escaped: Sequence[Escapes], results: Iterable[ChallengeResultV1]
) -> tuple[DefectRate, ...]:
    proofs = _proofs(results)
    audits = {one.product: one for one in escaped}
    return tuple(_rate(one, proofs.get(one.product), audits.get(one.product)) for one in truth)


def _rate(truth: Truth, proof: Proof | None, audit: Escapes | None) -> DefectRate:
    n = truth.rejects + sum(row.n for row in truth.rows if row.first == "pass")
    apparent, why = share(truth.rejects, n), []
    plain, corrected = None, None
    if proof is None or not proof.bad or not proof.good:
        why.append("no correction for a fallible inspection: it needs answered challenge parts, defects and good ones")
    else:
        plain = (
            None if apparent.value is None else rogan_gladen(apparent.value, proof.caught / proof.bad, proof.passed / proof.good)
        )
        corrected = lang_reiczigel(truth.rejects, n, proof)
        if corrected is None:
            why.append("no correction: the challenge parts show no better than a coin, or nothing was inspected")
    audited = _audited(truth, audit)
    if audited is None:
        why.append("no audited rate: it needs every part that was not passed looked at, and audited passes all answered")
    return DefectRate(
        product=truth.product,
        apparent=apparent,
        proof=proof,
        rogan_gladen=plain,
        corrected=corrected,
        audited=audited,
        why=tuple(why),
    )


def _audited(truth: Truth, audit: Escapes | None) -> Rate | None:
    if audit is None or not truth.all_looked or not audit.claimed or audit.waiting:
        return None
    if audit.method == "betting":
        return _weighed(truth, audit)
    counted = Audit(
        rejects=truth.rejects,
        confirmed=truth.true_rejects.events,
        passes=audit.passes,
        audited=audit.answered,
        bad=audit.bad,
    )
    found = audited_rate(counted)
    return None if found is None else found[0]


def _weighed(truth: Truth, audit: Escapes) -> Rate:
    """Where passes were drawn with several probabilities. Certain below (what was found), 95 % above: at least 95 % in all."""
    ends = (audit.share or 0.0, audit.low, audit.high)
    value, low, high = ((truth.true_rejects.events + audit.passes * end) / (truth.rejects + audit.passes) for end in ends)
    return Rate(value=value, low=low, high=high)


def _proofs(results: Iterable[ChallengeResultV1]) -> dict[str, Proof]:
    """By product: defects caught and golden parts passed, of those that got an answer; `no_verdict` is none."""
    found: dict[str, Counter[tuple[str, bool]]] = {}
    for result in results:
        for item in result.items:
            if item.stamp.kind != "graded" and item.disposition != "no_verdict":
                found.setdefault(result.product, Counter())[item.stamp.kind, item.caught] += 1
    return {
        product: Proof(
            caught=n["defect", True],
            bad=n["defect", True] + n["defect", False],
            passed=n["golden", True],
            good=n["golden", True] + n["golden", False],
        )
        for product, n in found.items()
    }
