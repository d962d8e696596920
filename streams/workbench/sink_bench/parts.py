"""Many judged parts: as messages for the topics, or, a hundred times as fast, as the rows that they would become."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from schemas.codec import record_of
from schemas.common import ImageRef, ModelRef, Stage, digest
from schemas.drift import ScoreStreamV1
from schemas.envelope import Record
from schemas.evidence import AnnouncedV1, AnomalyV1, BaselineStampV1, ClassificationV1, ViewV1
from schemas.ids import evidence_id, inspection_id, verdict_id
from schemas.model_set import ModelSetV1, ModelV1, PreparationV1
from schemas.policy import PolicyV1
from schemas.verdict import UsedV1, VerdictV1, WhyV1
from streams.judgement.facts import UNKNOWN, Strangeness, ViewFacts
from streams.judgement.policy import accept, judge
from streams.judgement.rules import Rules, rules_of
from streams.wiring.adapters.database.rows import Row, micros

STATION, PRODUCT, EPOCH, VIEW = "bench/line-1/cam-1", "bench", 1_764_000_000_000, "top"
CLASSES = ("good", "scratch", "dent")
_NAUGHT = "0" * 64
_CALIBRATION = tuple(float(x) for x in np.linspace(0.2, 2.2, 1000))


def models() -> ModelSetV1:
    def one(stage: Stage) -> ModelV1:
        return ModelV1(
            stage=stage,
            ref=ModelRef(name=f"{PRODUCT}-{stage}", version=1, digest=_NAUGHT, profile="cpu-fp32"),
            input="image" if stage == "anomaly" else "embedding",
            classes=CLASSES if stage == "classification" else (),
            ok_parts=100 if stage == "classification" else 0,
            trunk_id="trunk",
            preparation=PreparationV1(),
            calibration={VIEW: _CALIBRATION} if stage == "anomaly" else {},
            tolerance=1e-3,
        )

    return ModelSetV1(product=PRODUCT, models=(one("anomaly"), one("classification")), data=_NAUGHT)


def rules(alpha: float = 0.01, threshold: float = 0.6) -> PolicyV1:
    kinds = {
        name: {"threshold": threshold, "disposition": d} for name, d in zip(CLASSES, ("pass", "rework", "scrap"), strict=True)
    }
    return PolicyV1.model_validate(
        {"product": PRODUCT, "title": f"alpha {alpha:g}", "anomaly": {"alpha": alpha}, "classes": kinds}
    )


class Parts:
    """n -> what was seen of part n and what was said. Deterministic for a seed and a block."""

    def __init__(self, start: datetime, seed: int = 0) -> None:
        self.policy, self.models = rules(), models()
        self.rules: Rules = rules_of(self.policy, self.models)
        self._start, self._seed = start, seed
        self._said: dict[tuple[bool, str], tuple[str, str | None]] = {}
        self._stamps = (digest(self.policy), digest(self.models))
        stream = ScoreStreamV1(station=STATION, view=VIEW, product=PRODUCT, acquisition=_NAUGHT, model=self.models.models[0].ref)
        self._baselines = {VIEW: BaselineStampV1(stream=digest(stream), baseline=_NAUGHT, state="active")}

    def versions(self) -> list[Row]:
        """Policy and model set, as `rows_of` makes them."""
        pairs = (("policies", self.policy), ("model_sets", self.models))
        return [
            (table, {"digest": digest(one), "product": PRODUCT, "station": None, "log_offset": n, "at_us": micros(self._start),
                     "data": one.model_dump_json(exclude_none=True), **({"title": self.policy.title} if n == 0 else {})})
            for n, (table, one) in enumerate(pairs)
        ]  # fmt: skip

    def rows(self, first: int, count: int) -> Iterator[list[Row]]:
        """As `rows_of` makes them of `records`, part by part."""
        for n, score, shares in self._seen(first, count):
            yield self._rows(n, score, shares)

    def records(self, first: int, count: int) -> Iterator[Record]:
        """In the order in which the topics get them."""
        rng = np.random.default_rng([self._seed, 1])
        heat = [base64.b64encode(rng.gamma(2, 0.4, 1024).astype("<f2").tobytes()).decode() for _ in range(50)]
        for n, score, shares in self._seen(first, count):
            yield from self._records(n, score, shares, heat[n % len(heat)])

    def _seen(self, first: int, count: int) -> Iterator[tuple[int, float, dict[str, float]]]:
        rng = np.random.default_rng([self._seed, first])
        scores = rng.gamma(6, 0.2, count).tolist()
        shares = rng.dirichlet([12, 0.4, 0.3], count).tolist()
        for i, (score, row) in enumerate(zip(scores, shares, strict=True)):
            yield first + i, score, dict(zip(CLASSES, row, strict=True))

    def _judged(self, score: float, shares: Mapping[str, float]) -> tuple[str, str | None]:
        kind = accept(self.rules, shares, 0)
        key = (score > self.rules.thresholds[VIEW], kind.label)
        if key not in self._said:
            found = judge(self.rules, {VIEW: ViewFacts(anomaly=Strangeness(offset=0, score=score), kind=kind)})
            self._said[key] = (found.disposition, found.label)
        return self._said[key]

    def _times(self, n: int) -> tuple[datetime, datetime]:
        shot = self._start + timedelta(milliseconds=50 * n)
        return shot, shot + timedelta(milliseconds=20)

    def _rows(self, n: int, score: float, shares: dict[str, float]) -> list[Row]:
        inspection, (shot, announced) = str(inspection_id(STATION, EPOCH, n)), self._times(n)
        disposition, label = self._judged(score, shares)
        policy, model_set = self._stamps
        at_us, announced_us = micros(shot), micros(announced)
        part = {
            "inspection": inspection, "station": STATION, "epoch": EPOCH, "n": n, "product": PRODUCT, "lot": f"L{n // 5000}",
            "tool": None, "serial": f"S{n:09d}", "visit": 1, "purpose": "production", "policy": policy, "model_set": model_set,
            "acquisition": _NAUGHT, "at_us": at_us, "announced_us": announced_us, "baselines": f'{{"{VIEW}":"active"}}',
            "challenge": None,
        }  # fmt: skip
        said = {
            "inspection": inspection, "revision": 1, "disposition": disposition, "label": label, "decided_by": "policy",
            "who": None, "late": False, "audit": False, "decided_us": announced_us + 200_000,
            "reasons": f'[{{"code":"{"all_good" if disposition == "pass" else "defect"}","view":"{VIEW}"}}]',
        }  # fmt: skip
        best = max(sorted(shares), key=lambda name: shares[name])
        seen = {
            "inspection": inspection, "view": VIEW, "model_set": model_set, "model": _NAUGHT, "score": None, "p_value": None,
            "label": None, "probability": None, "probabilities": None, "instances": None, "mm_per_px": None, "cells": None,
            "heat": None, "image": _image(n).model_dump_json(), "at_us": announced_us + 100_000,
        }  # fmt: skip
        p_value = self.rules.p_value(VIEW, score)
        return [
            ("announced", {**part, "decide_within_s": 5.0, "gate_time_s": None, "views_expected": 1,
                           "views": f'{{"{VIEW}":[640,640]}}', "log_offset": 3 * n}),
            ("evidence", {**seen, "stage": "anomaly", "score": score, "p_value": p_value, "log_offset": 3 * n + 1}),
            ("evidence", {**seen, "stage": "classification", "label": best, "probability": shares[best],
                          "probabilities": json.dumps(shares, separators=(",", ":")), "log_offset": 3 * n + 2}),
            ("inspections", {**part, **said, "previous": None, "audit_probability": None, "gate_us": None,
                             "false_reject_rate_valid": True}),
            ("revisions", {**said, "supersedes": None, "supersedes_label": None, "used": "[]", "at_us": at_us,
                           "product": PRODUCT, "purpose": "production", "audit_probability": None}),
        ]  # fmt: skip

    def _records(self, n: int, score: float, shares: dict[str, float], heat: str) -> Iterator[Record]:
        inspection, (shot, announced) = str(inspection_id(STATION, EPOCH, n)), self._times(n)
        policy, model_set = self._stamps
        disposition, label = self._judged(score, shares)
        p_value = self.rules.p_value(VIEW, score)
        refs = {model.stage: model.ref for model in self.models.models}
        common: dict[str, Any] = {
            "inspection": inspection, "station": STATION, "product": PRODUCT, "acquisition": _NAUGHT, "purpose": "production",
            "model_set": model_set,
        }  # fmt: skip
        seen: dict[str, Any] = {**common, "view": VIEW, "image": _image(n), "latency_ms": 12.5}
        yield record_of(AnnouncedV1(
            **common, lot=f"L{n // 5000}", serial=f"S{n:09d}", views_expected=1, policy=policy, captured_at=shot,
            decide_within_s=5, baselines=self._baselines,
            views=(ViewV1(view=VIEW, sha256=_NAUGHT, bytes=51_000, content_type="image/jpeg", width_px=640, height_px=640),),
        ), id=evidence_id(inspection, "announced"), station=STATION, subject=inspection)  # fmt: skip
        for stage, message in (
            ("anomaly", AnomalyV1(**seen, model=refs["anomaly"], score=score, p_value=p_value, calibration_n=1000, heat_map=heat,
                                  trunk_id="trunk", lot=f"L{n // 5000}", policy=policy, baseline=_NAUGHT)),
            ("classification", ClassificationV1(**seen, model=refs["classification"], probabilities=shares, entropy=0.4)),
        ):  # fmt: skip
            yield record_of(message, id=evidence_id(inspection, stage, view=VIEW, model_set=model_set), station=STATION,
                            subject=inspection)  # fmt: skip
        kind = accept(self.rules, shares, 0)
        shown = kind.best if kind.label == UNKNOWN else kind.label
        yield record_of(VerdictV1(
            **common, revision=1,
            lot=f"L{n // 5000}", serial=f"S{n:09d}", disposition=disposition, label=label,
            reasons=(WhyV1(code="all_good" if disposition == "pass" else "defect", view=VIEW),), decided_by="policy",
            policy=policy,
            calibration={VIEW: _NAUGHT}, captured_at=shot, baselines=self._baselines, false_reject_rate_valid=True,
            announced_at=announced, decided_at=announced + timedelta(milliseconds=200),
            evidence=(
                UsedV1(stage="anomaly", view=VIEW, offset=3 * n + 1, model=refs["anomaly"], score=score, p_value=p_value),
                UsedV1(stage="classification", view=VIEW, offset=3 * n + 2, model=refs["classification"], label=shown,
                       probability=kind.probability),
            ),
        ), id=verdict_id(inspection, 1), station=STATION, subject=inspection)  # fmt: skip


def _image(n: int) -> ImageRef:
    return ImageRef(uri=f"kafka://capture.v1/0/{n}", sha256=_NAUGHT, bytes=51_000, content_type="image/jpeg")
