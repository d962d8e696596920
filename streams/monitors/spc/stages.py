"""When software or set-up changed under a product. Fields that a verdict does not know say nothing: a part that could not be
judged lacks some of them, and the stage goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from streams.monitors.spc.part import Part, Stage


def merged(before: Stage, now: Stage) -> Stage:
    """What is known after this part."""
    return Stage(
        now.policy or before.policy,
        now.model_set or before.model_set,
        now.acquisition or before.acquisition,
        tuple(sorted({**dict(before.baseline), **dict(now.baseline)}.items())),
        tuple(sorted({**dict(before.calibration), **dict(now.calibration)}.items())),
    )


def changed(before: Stage, now: Stage) -> tuple[str, ...]:
    """Names of the fields that are known on both sides and differ."""
    return tuple(_changed(before, now))


def _changed(before: Stage, now: Stage) -> Iterator[str]:
    for name in ("policy", "model_set", "acquisition"):
        was, is_now = getattr(before, name), getattr(now, name)
        if was is not None and is_now is not None and was != is_now:
            yield name
    for name in ("baseline", "calibration"):
        known = dict(getattr(before, name))
        if any(view in known and known[view] != digest for view, digest in getattr(now, name)):
            yield name


def stage_name(station: str, product: str, part: Part) -> str:
    """Of the stage that this part begins."""
    seed = f"{station}|{product}|{part.epoch}-{part.n}|{part.stage}"
    return f"st-{blake2b(seed.encode(), digest_size=6).hexdigest()}"
