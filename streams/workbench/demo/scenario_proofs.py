"""Challenge parts of a scenario as a plant registers them: images that are handed in, masters that are put before the camera.

Golden ones must pass, one with a defect must not. What the challenge processor made of their sets is read from challenge.v1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.common import Proof
from streams.settings import Settings
from streams.wiring.adapters.challenges import read_challenges
from streams.workbench.demo.scenario_acts import verdictline
from streams.workbench.plant import Part
from streams.workbench.scenarios import Row

PROOFS: tuple[Proof, ...] = ("digital", "physical")
_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """Of one kind of proof: how many were answered, how many of them passed."""

    passed: int
    answered: int


def register(settings: Settings, images: Sequence[Part], masters: Sequence[Part], every_parts: int) -> None:
    """By the commands that people type. Parts with a defect are of that kind. Raises ValueError where one is refused."""
    where = ["--station", masters[0].station, "--product", masters[0].product]
    for number, image in enumerate(images):
        shown = image.views[0]
        file = _file(settings, f"{image.station.replace('/', '-')}-{number}", shown.encoded)
        _insist(settings, "add", str(file), *where, *_kind(image), "--view", shown.name, "--part", f"image-{number}")
    for number, master in enumerate(masters):
        facts = ["--physical", "--serial", master.serial, "--part", f"master-{number}", "--custody", "demo"]
        _insist(settings, "add", *where, *_kind(master), *facts)
    for kind in ((), ("--physical",)):
        _insist(settings, "schedule", *where, *kind, "--every-parts", str(every_parts), "--within-s", str(_WITHIN_S))


def sets(settings: Settings, station: str, product: str) -> dict[Proof, Sets]:
    """So far."""
    found = read_challenges(settings.client()).results
    lines = {proof: [one for one in found.get((station, product, proof), []) if not one.unanswered] for proof in PROOFS}
    return {proof: Sets(passed=sum(one.passed for one in line), answered=len(line)) for proof, line in lines.items()}


def rows(before: dict[Proof, Sets], after: dict[Proof, Sets], fails: frozenset[Proof]) -> list[Row]:
    """before: up to the change; after: up to the end. Most sets of a proof pass, or fail where they must."""
    found = []
    for proof in PROOFS:
        early = before[proof]
        late = Sets(passed=after[proof].passed - early.passed, answered=after[proof].answered - early.answered)
        good, bad = _mostly(early), _mostly(late) is not (proof in fails)
        found.append(
            Row(
                what=f"{proof} proof {'fails' if proof in fails else 'holds'}: challenge parts before and after",
                met=good and bad and early.answered > 0 and late.answered > 0,
                found=f"{early.passed} of {early.answered} sets passed, then {late.passed} of {late.answered}",
            )
        )
    return found


def _kind(part: Part) -> tuple[str, ...]:
    return ("--kind", "golden") if part.good else ("--kind", "defect", "--label", part.defects[0].kind)


def _mostly(found: Sets) -> bool:
    return 2 * found.passed > found.answered


def _file(settings: Settings, name: str, data: bytes) -> Path:
    file = settings.state / "challenge" / f"{name}.jpg"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def _insist(settings: Settings, verb: str, *words: str) -> None:
    answer = verdictline(settings, "challenge", verb, *words)
    if not answer.done:
        raise ValueError(f"challenge {verb}: {answer.said}")
