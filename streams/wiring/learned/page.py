"""The page of a candidate, and the same as JSON: what improves, what gets worse, what is not proven. Every text is escaped."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from schemas.common import digest
from schemas.policy import GOOD
from streams.judgement.facts import UNKNOWN
from streams.monitors.shares import Share
from streams.training.held_out import PROVEN, Compared, Part
from streams.training.truth import WORDS
from streams.wiring.adapters.model_store import StoredModel
from streams.wiring.charts.page import STYLE
from streams.wiring.learning import Candidate
from streams.wiring.looked import classifier

MOST_PICTURES = 48
FEW_PARTS = 20
_OWN = (
    "body{max-width:960px}table{width:100%}td.n,th.n{text-align:right}"
    "td.n,td.s{font-variant-numeric:tabular-nums;white-space:nowrap}.head strong{color:CanvasText}"
    "figure{display:inline-block;width:112px;margin:0 8px 10px 0;vertical-align:top;font-size:12px}"
    "figure img{width:96px;height:96px;border-radius:4px}figcaption{overflow-wrap:anywhere}h2{font-size:16px;margin:18px 0 4px}"
    ".soft{color:#5b6570;font-size:13px}@media(prefers-color-scheme:dark){.soft{color:#a3adb7}}"
)


@dataclass(frozen=True, kw_only=True)
class Changed:
    """One image of a part that the two heads call differently. picture: data: address."""

    part: Part
    picture: str
    name: str


def html(candidate: Candidate, stored: StoredModel) -> str:
    """A whole page: no script, nothing from elsewhere."""
    environment = Environment(
        loader=PackageLoader("streams.wiring.learned", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(share=said, call=lambda name: "not accepted" if name == UNKNOWN else name)
    changed = [one for one in candidate.found if one.before != one.after]
    worse = [one for one in changed if one.lost]
    better = [one for one in changed if one.gained]
    other = [one for one in changed if not (one.lost or one.gained)]
    kinds = [("lost", worse), ("gained", better), ("neither was right", other)]
    return environment.get_template("page.html.j2").render(
        style=Markup(STYLE + _OWN),
        candidate=candidate,
        stored=stored,
        base=classifier(candidate.ground.base),
        base_digest=digest(candidate.ground.base),
        headline=headline(candidate),
        doubts=doubts(candidate),
        passed=candidate.passed,
        pictures=[(title, len(parts), _shown(candidate, parts)) for title, parts in kinds if parts],
        left_out=[(WORDS[why], n) for why, n in sorted(candidate.left_out.items())],
        rules=candidate.ground.policy.classes,
        good=GOOD,
    )


def facts(candidate: Candidate, model_set: str) -> dict[str, Any]:
    """What a script needs."""
    return {
        "product": candidate.ground.base.product,
        "station": candidate.ground.base.station,
        "model_set": model_set,
        "base": digest(candidate.ground.base),
        "labels": candidate.labels,
        "new_classes": list(candidate.new_classes),
        "headline": headline(candidate),
        "all": _row(candidate.overall),
        "classes": [_row(one) for one in candidate.by_class],
        "defects_called_good": {"before": _share(candidate.passed[0]), "after": _share(candidate.passed[1])},
        "thresholds": dict(candidate.thresholds),
        "left_out": dict(candidate.left_out),
        "gone": dict(candidate.plan.gone),
        "few": dict(candidate.plan.few),
        "not_proven": doubts(candidate),
    }


def headline(candidate: Candidate) -> str:
    """Better, worse, or not shown to be either; and which classes lose more than they gain."""
    all_ = candidate.overall
    worse = [str(one.label) for one in candidate.by_class if one.lost > one.gained]
    return _overall(all_) + (f" Worse for {', '.join(worse)}." if worse else "")


def _overall(all_: Compared) -> str:
    counts = f"of {all_.found_after.n} parts held out it names {all_.gained} rightly that were not, and {all_.lost} no longer"
    if all_.chance <= PROVEN:
        return f"The candidate is {'better' if all_.gained > all_.lost else 'WORSE'}: {counts} (p {all_.chance:.2g})."
    if all_.gained == all_.lost == 0:
        return f"The candidate names the same of {all_.found_after.n} parts held out as what is in force."
    return f"Not shown to be better or worse: {counts} (p {all_.chance:.2g})."


def doubts(candidate: Candidate) -> list[str]:
    """What these figures do not prove, a plain line each."""
    rows = candidate.by_class
    worse = [one for one in rows if one.lost > one.gained]
    lines = [
        f"{one.label} gets worse: {one.lost} parts lost, {one.gained} gained"
        f"{'' if one.chance * len(rows) <= PROVEN else '; that may be chance'}"
        for one in worse
    ]
    lines += [
        f"{one.label}: {one.found_after.n} parts were held out; its true recall may be as low as {one.found_after.low:.0%}"
        for one in rows
        if one.found_after.n < FEW_PARTS
    ]
    if candidate.passed[1].events > candidate.passed[0].events:
        lines.append("More defective parts are called good than before; where they are not strange either, they pass.")
    lines += [
        f"{name}: the policy in force has no rule for it; until it has one, what looks like it goes to review"
        for name in candidate.new_classes
        if name not in candidate.ground.policy.classes
    ]
    lines += [f"{label}: {n} parts are too few to be learned" for label, n in candidate.plan.few.items()]
    weak = [name for name in candidate.new_classes if candidate.thresholds.get(name, 0) >= 0.99]
    lines += [f"{name}: no probability was right 95 times in 100, so it is hardly ever accepted" for name in weak]
    lines.append("The parts held out are those that people looked at: strange and doubtful ones, no sample of production.")
    return lines


def said(share: Share) -> str:
    """`17 of 20, 62 to 97 %`: the 95 % interval of Clopper and Pearson."""
    if share.value is None:
        return "–"
    return f"{share.events} of {share.n}, {100 * share.low:.0f} to {100 * share.high:.0f} %"


def _shown(candidate: Candidate, parts: Sequence[Part]) -> list[Changed]:
    rows = candidate.rows
    return [
        Changed(
            part=one,
            picture="data:image/jpeg;base64," + base64.b64encode(rows.thumbnail[one.at[0]]).decode(),
            name=rows.source[one.at[0]] or one.group,
        )
        for one in parts[:MOST_PICTURES]
    ]


def _row(one: Compared) -> dict[str, Any]:
    return {
        "class": one.label,
        "found": {"before": _share(one.found_before), "after": _share(one.found_after)},
        "called": {"before": _share(one.called_before), "after": _share(one.called_after)},
        "gained": one.gained,
        "lost": one.lost,
        "chance": one.chance,
    }


def _share(share: Share) -> dict[str, Any]:
    return {"events": share.events, "n": share.n, "low": share.low, "high": share.high}
