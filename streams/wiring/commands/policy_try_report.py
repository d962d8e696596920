"""A trial as lines for people and as JSON: shares with exact intervals, discordant pairs, what is not known. Counts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.common import Disposition, digest
from schemas.policy import PolicyV1
from streams.judgement.trial import NONCONFORMING, Trial
from streams.monitors.shares import Share, exact_share
from streams.monitors.spc.true_rate import SoftwareEffect, software_effect

ORDER: tuple[Disposition, ...] = ("pass", "rework", "scrap", "review", "no_verdict")
_REVIEW = frozenset({"review"})
_NOT_PASSED: frozenset[str] = frozenset(ORDER) - {"pass"}
WHY = {
    "not_measured": "their size would decide, and was never measured",
    "other_scale": "their size would decide, and was measured in another scale",
    "heat_map_gone": "the size of their strange region would decide, and their heat map was not kept (p above .2)",
    "policy_mismatch": "the policy does not fit the models that looked at them: `verdictline policy check` says why",
    "not_reproduced": "their own policy does not judge what was kept as it did then (evidence is gone, unreadable or ambiguous)",
    "versions_gone": "the policy or the models that judged them are not known any more",
    "no_verdict_yet": "they have no verdict yet",
}


def as_data(policy: PolicyV1, trial: Trial) -> dict[str, Any]:
    """JSON: counts, rates before and after, effects, and every changed part."""
    return {
        "policy": {"digest": digest(policy), "title": policy.title, "product": policy.product},
        "parts": trial.parts,
        "judged": trial.judged,
        "before": {name: trial.was()[name] for name in ORDER},
        "after": {name: trial.would_be()[name] for name in ORDER},
        "moves": [{"was": was, "would_be": now, "parts": n} for (was, now), n in sorted(trial.moves.items()) if was != now],
        "nonconforming": _rates(trial, "nonconforming"),
        "review": _rates(trial, "review"),
        "effect": {"nonconforming": _effect(_of(trial, NONCONFORMING)), "review": _effect(_of(trial, _REVIEW))},
        "truth": _truth(trial),
        "undecided": {f"{why}": n for why, n in _by_reason(trial.undecided).items()},
        "left_out": dict(sorted(trial.left_out.items())),
        "changes": [
            {"inspection": c.inspection, "serial": c.serial, "lot": c.lot, "was": c.was, "would_be": c.would_be, "truth": c.truth}
            for c in trial.changes
        ],
    }


def lines(policy: PolicyV1, trial: Trial, where: str, most: int) -> Iterator[str]:
    """For people."""
    yield f"{policy.product}: {policy.title} ({digest(policy)[:12]}), tried on {trial.parts} parts, {where}"
    yield ""
    yield f"{'':<14}{'before':>10}{'after':>10}"
    for name in ORDER:
        yield f"{name:<14}{trial.was()[name]:>10}{trial.would_be()[name]:>10}"
    yield ""
    yield from _rate_lines(trial)
    yield from _truth_lines(trial)
    yield from _unknown_lines(trial)
    yield from _change_lines(trial, most)


def nonconforming(trial: Trial, after: bool) -> Share:
    """Rework and scrap, of the parts that are one of pass, rework and scrap: as SPC counts them."""
    counts = trial.would_be() if after else trial.was()
    return exact_share(counts["rework"] + counts["scrap"], counts["pass"] + counts["rework"] + counts["scrap"])


def review_load(trial: Trial, after: bool) -> Share:
    """Of all parts that could be judged."""
    counts = trial.would_be() if after else trial.was()
    return exact_share(counts["review"], counts.total())


def _rates(trial: Trial, what: str) -> dict[str, Any]:
    ask = nonconforming if what == "nonconforming" else review_load
    return {"before": _share(ask(trial, False)), "after": _share(ask(trial, True))}


def _share(share: Share) -> dict[str, Any]:
    ppm = {name: None if value is None else round(value * 1e6, 1) for name, value in
           (("ppm", share.value), ("low_ppm", share.low), ("high_ppm", share.high))}  # fmt: skip
    return {"events": share.events, "n": share.n, **ppm}


def _of(trial: Trial, names: frozenset[str]) -> SoftwareEffect | None:
    return software_effect(*trial.discordant(names), trial.judged) if trial.judged else None


def _effect(effect: SoftwareEffect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    change = {"value": effect.change.value, "low": effect.change.low, "high": effect.change.high}
    return {"only_before": effect.only_old, "only_after": effect.only_new, "n": effect.n, "change": change, "p": effect.p}


def _truth(trial: Trial) -> dict[str, Any]:
    """Of parts whose truth people have said. escaped: bad and passed; overkill: good and not passed."""
    found: dict[str, Any] = {}
    for truth, wrong, name in (("defect", frozenset({"pass"}), "escapes"), ("good", _NOT_PASSED, "overkill")):
        moves = [(was, now, n) for (said, was, now), n in trial.truths.items() if said == truth]
        total = sum(n for _, _, n in moves)
        if total:
            before, after = (sum(n for was, now, n in moves if (now if late else was) in wrong) for late in (False, True))
            pairs = trial.discordant(wrong, truth)
            found[name] = {"n": total, "before": before, "after": after, **(_effect(software_effect(*pairs, total)) or {})}
    return found


def _rate_lines(trial: Trial) -> Iterator[str]:
    for label, ask, names in (
        ("nonconforming", nonconforming, NONCONFORMING),
        ("review load", review_load, _REVIEW),
    ):
        yield f"{label}: {_ppm(ask(trial, False))} before, {_ppm(ask(trial, True))} after"
        effect = _of(trial, names)
        if effect is not None and effect.only_old + effect.only_new:
            change = ", ".join(f"{value * 1e6:+.0f}" for value in (effect.change.low, effect.change.high))
            yield (
                f"  the same parts: {effect.only_old} only before, {effect.only_new} only after;"
                f" {effect.change.value * 1e6:+.0f} ppm of all ({change}), McNemar p = {effect.p:.2g}"
            )


def _ppm(share: Share) -> str:
    if share.value is None:
        return "none judged"
    return f"{share.value * 1e6:.0f} ppm ({share.low * 1e6:.0f} to {share.high * 1e6:.0f}, {share.events} of {share.n})"


def _truth_lines(trial: Trial) -> Iterator[str]:
    for name, one in _truth(trial).items():
        kind = "bad parts passed" if name == "escapes" else "good parts not passed"
        yield (
            f"{name} ({kind}), of {one['n']} that people judged: {one['before']} before, {one['after']} after;"
            f" {one['only_before']} only before, {one['only_after']} only after, McNemar p = {one['p']:.2g}"
        )
    if trial.truths:
        yield "  people see reviewed and audited parts, so this is no sample of all parts"


def _by_reason(undecided: Mapping[tuple[Any, Any], int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for (why, _), n in sorted(undecided.items()):
        found[why] = found.get(why, 0) + n
    return found


def _unknown_lines(trial: Trial) -> Iterator[str]:
    for why, n in _by_reason(trial.undecided).items():
        yield f"{n} parts cannot be decided: {WHY[why]}"
    for why, n in sorted(trial.left_out.items()):
        yield f"{n} parts are left out: {WHY[why]}"


def _change_lines(trial: Trial, most: int) -> Iterator[str]:
    yield ""
    yield f"{len(trial.changes)} parts change"
    for one in trial.changes[:most]:
        known = f"  (people: {one.truth})" if one.truth else ""
        yield f"  {one.was:>10} -> {one.would_be:<10} {one.inspection}  {one.serial or '-'}{known}"
    if len(trial.changes) > most:
        yield f"  and {len(trial.changes) - most} more: --json and --csv have all of them"
