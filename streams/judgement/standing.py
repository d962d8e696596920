"""What the state of the baselines does to a pass: the verdict says so, more passes are audited, or all are held. Pure.

* A reaction is the policy's, by state; of several views the strictest: hold, then audit with the largest share, then annotate.
* It only ever makes a verdict stricter, and only the first one: what a person has released is not held again.
* It meets the parts that are delivered (production, rework, reinspection). A challenge, a setup or a study must show what
  the models say, so there the verdict carries the states and nothing else.
* A view with an anomaly model but without a stamp is provisional, like any stream that nothing is known of. A retired
  baseline gets what a provisional one gets: nobody vouches for the threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from schemas.common import BaselineState, Purpose
from schemas.policy import ReactionV1
from streams.judgement.facts import Code, Judgement, Why
from streams.judgement.part import Job
from streams.judgement.rules import Rules

DELIVERED: frozenset[Purpose] = frozenset({"production", "rework", "reinspection"})
_CODES: Mapping[BaselineState, Code] = {
    "provisional": "baseline_provisional",
    "suspect": "baseline_suspect",
    "stale": "baseline_stale",
    "retired": "baseline_retired",
}


def rate_is_valid(rules: Rules | None, job: Job) -> bool | None:
    """Whether the policy's alpha holds for this part: the baseline of every view is active. None: no anomaly model took part."""
    states = _states(rules, job)
    return all(state == "active" for state in states.values()) if states else None


def react(rules: Rules, job: Job, judgement: Judgement) -> Judgement:
    """The judgement with the policy's reaction: a pass says which baselines are not active, or becomes review."""
    return react_to(rules, job.purpose, _states(rules, job), judgement)


def react_to(rules: Rules, purpose: Purpose, states: Mapping[str, BaselineState], judgement: Judgement) -> Judgement:
    """As `react`. states: of every view's baseline, from `states_of`."""
    found = _reactions(rules, purpose, states)
    if judgement.disposition != "pass" or not found:
        return judgement
    reasons = tuple(_why(view, state, reaction) for view, (state, reaction) in found.items())
    if any(reaction.do == "hold" for _, reaction in found.values()):
        held = tuple(sorted(reasons, key=lambda why: found[why.view or ""][1].do != "hold"))
        return Judgement(disposition="review", label=judgement.label, reasons=held)
    return replace(judgement, reasons=(*judgement.reasons, *reasons))


def audit_share(rules: Rules, job: Job) -> float:
    """The share of passes like this one that goes to blind review."""
    shares = [reaction.audit_fraction or 0.0 for _, reaction in _reactions(rules, job.purpose, _states(rules, job)).values()]
    return max([rules.policy.audit_fraction, *shares])


def _reactions(
    rules: Rules, purpose: Purpose, states: Mapping[str, BaselineState]
) -> dict[str, tuple[BaselineState, ReactionV1]]:
    """By view, where its baseline is not active."""
    if purpose not in DELIVERED:
        return {}
    rule = rules.policy.baseline
    by_state = {"provisional": rule.provisional, "retired": rule.provisional, "suspect": rule.suspect, "stale": rule.stale}
    return {view: (state, by_state[state]) for view, state in states.items() if state != "active"}


def _states(rules: Rules | None, job: Job) -> dict[str, BaselineState]:
    return states_of(rules, {view: stamp.state for view, stamp in job.baselines.items()}, job.frames)


def states_of(rules: Rules | None, stamped: Mapping[str, BaselineState], views: Iterable[str]) -> dict[str, BaselineState]:
    """By view with an anomaly model, in the order of their names. stamped: as announced; views: that were taken."""
    states = dict(stamped)
    unknown: BaselineState = "provisional"
    if rules is not None and rules.model_set.model("anomaly") is not None:
        states = {view: states.get(view, unknown) for view in views} | states
    return dict(sorted(states.items()))


def _why(view: str, state: BaselineState, reaction: ReactionV1) -> Why:
    share = f"{100 * (reaction.audit_fraction or 0):g} % of the passes are audited"
    said = {"annotate": "the false-reject rate is not valid", "audit": share, "hold": "passes are held"}[reaction.do]
    return Why(code=_CODES[state], view=view, stage="anomaly", detail=said)
