"""One record of evidence.v1: whose it is, and what becomes of it where its part is new, known, forgotten or never announced.

Knows the draft of a partition's memory; what becomes of one part is `triage`'s. Nothing is dropped in silence: what says
nothing is counted as a copy or ignored, or becomes a dead letter with its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b

from schemas.codec import Reader
from schemas.common import Stage
from schemas.dead_letter import dead_letter
from schemas.envelope import ContractError, Received, event_type
from schemas.evidence import AnnouncedV1, AnomalyV1, ClassificationV1, FailedV1, ReviewedV1, SegmentationV1
from schemas.ids import NAME_PATTERN, InspectionId, parse_inspection
from streams.fates import Unprocessable
from streams.judgement.draft import Draft
from streams.judgement.part import HOLD_MS, REST_MS, Held, Part, Refused, Rest
from streams.judgement.rules import Rules
from streams.judgement.triage import (
    Evidence,
    Moment,
    Step,
    announce,
    announce_unreadable,
    expire,
    fail,
    fail_unreadable,
    observe,
    review,
    short_digest,
)
from streams.judgement.verdicts import request_record, verdict_of, verdict_of_review, verdict_record
from streams.judgement.versions import RuleBook

STAGE = "triage"
ANNOUNCED = "/announced"
MOST_HELD = 1000
HELD_BYTES = 256 << 10  # of one inspection: its state must fit into a record of the changelog
Said = AnnouncedV1 | Evidence | FailedV1 | ReviewedV1
READER = Reader(AnnouncedV1, AnomalyV1, ClassificationV1, SegmentationV1, FailedV1, ReviewedV1)
_NAME = re.compile(NAME_PATTERN)
_DOOMED: dict[str, tuple[Stage, ...]] = {
    "anomaly": ("anomaly",),
    "classification": ("classification",),
    "segmentation": ("segmentation",),
    "failed": ("anomaly", "classification", "segmentation"),
}


class Intake:
    """Works on one draft at one moment of the log."""

    def __init__(self, draft: Draft, rules: RuleBook, moment: Moment) -> None:
        self._draft = draft
        self._rules = rules
        self._moment = moment

    def wake(self, due: Iterable[tuple[int, str]]) -> None:
        """Judge what missed its deadline; give up on evidence that nobody announced. Entries may be out of date."""
        for at_ms, inspection in due:
            state = self._draft.state(inspection)
            if isinstance(state, Part) and state.given is None and state.job.due_ms == at_ms:
                self._take_step(expire(state, self._of(state), self._moment))
            elif isinstance(state, Held) and state.until_ms == at_ms:
                self._draft.put(inspection, None)
                for record in state.records:
                    self._dead(record, "orphan", f"no announcement came within {HOLD_MS // 1000} s of log time")

    def forget(self, old: Iterable[tuple[int, str]]) -> None:
        """Keep the numbers of long judged parts, and what a further review must know."""
        for at_ms, inspection in old:
            state = self._draft.state(inspection)
            if isinstance(state, Rest) and state.until_ms == at_ms:
                self._draft.put(inspection, None)
            elif isinstance(state, Part) and state.forget_ms == at_ms and state.given is not None:
                self._draft.forget_all_but_number(parse_inspection(inspection))
                rest = None
                if state.given.revision > 1:
                    seen = {key: digest for key, digest in state.seen.items() if "/reviewed" in key}
                    rest = self._rest(state.given.revision, seen)
                self._draft.put(inspection, rest)

    def take(self, received: Received) -> None:
        """Any record but a tick."""
        try:
            found = READER.read(received)
            if found is None:
                self._draft.tally.ignored += 1
                return
            envelope, message = found
            assert isinstance(message, Said)  # the reader's types, less ticks
            inspection = parse_inspection(message.inspection)
            if envelope.subject != message.inspection or message.station != inspection.station:
                raise ContractError(
                    "bad_data", f"subject {envelope.subject!r} and station {message.station!r} must fit the inspection"
                )
            self._message(received, message, inspection, envelope.id)
        except (ContractError, Unprocessable) as error:
            self._unreadable(received, error.reason, error.detail)

    def _message(self, received: Received, message: Said, inspection: InspectionId, event: str) -> None:
        state, seen_as = self._draft.state(message.inspection), _seen_as(message, event)
        if isinstance(state, Part):
            return self._known(received, message, state, seen_as)
        if isinstance(state, Rest) or self._draft.forgotten(inspection):
            return (
                self._late_review(received, message, state, seen_as) if isinstance(message, ReviewedV1) else self._copy(message)
            )
        held = state.records if isinstance(state, Held) else ()
        if not isinstance(message, AnnouncedV1):
            return self._hold(received, message.inspection, state)
        self._draft.tally.announced[message.station] += 1
        rules = self._rules.rules(message.policy, message.model_set)
        self._take_step(announce(message, rules, seen_as, self._moment))
        self._replay(held)

    def _known(self, received: Received, message: Said, part: Part, seen_as: str) -> None:
        moment = replace(self._moment, offset=received.offset)
        if isinstance(message, AnnouncedV1):
            same = part.seen.get(seen_as) == short_digest(message)
            step = Step(part=part, dropped="copy" if same else "conflict")
        elif isinstance(message, ReviewedV1):
            step = review(part, message, seen_as, moment)
        elif isinstance(message, FailedV1):
            step = fail(part, message, self._of(part), seen_as, moment)
        else:
            step = observe(part, message, self._of(part), seen_as, moment)
        if step.dropped == "copy":
            self._copy(message)
        elif step.dropped == "ignored":
            self._draft.tally.ignored += 1
            self._take_step(step)
        elif step.dropped:
            self._draft.tally.conflicts[_kind(message)] += step.dropped == "conflict"
            self._dead(received, step.dropped, _standing(part))
        else:
            self._take_step(step)

    def _take_step(self, step: Step) -> None:
        inspection, rules = step.part.job.inspection, self._of(step.part)
        if self._draft.state(inspection) is not step.part:
            self._draft.put(inspection, step.part)
        self._draft.outputs += [request_record(request, self._moment) for request in step.requests]
        if step.decision is not None:
            verdict = verdict_of(step.decision, rules if isinstance(rules, Rules) else None, self._moment)
            self._draft.tally.verdicts.append(verdict)
            self._draft.outputs.append(verdict_record(verdict))

    def _late_review(self, received: Received, message: ReviewedV1, state: Rest | Held | None, seen_as: str) -> None:
        """The part is forgotten: the review itself says what the verdict needs."""
        rest = state if isinstance(state, Rest) else self._rest(1, {})
        digest, before = short_digest(message), rest.seen.get(seen_as)
        if before == digest:
            return self._copy(message)
        if before is not None or message.revision != rest.revision:
            self._draft.tally.conflicts["reviewed"] += before is not None
            return self._dead(received, "conflict" if before else "stale_review", f"effective is revision {rest.revision}")
        try:
            verdict = verdict_of_review(message, self._moment)
        except ValueError as error:
            return self._dead(received, "forgotten", str(error))
        self._draft.put(message.inspection, self._rest(verdict.revision, {**rest.seen, seen_as: digest}))
        self._draft.tally.verdicts.append(verdict)
        self._draft.outputs.append(verdict_record(verdict))

    def _hold(self, received: Received, inspection: str, state: Held | None) -> None:
        size = sum(map(_size, (received, *(state.records if state else ()))))
        if size > HELD_BYTES or (state is None and self._draft.held >= MOST_HELD):
            limit = f"{MOST_HELD} inspections, {HELD_BYTES} bytes each"
            self._dead(received, "orphan", f"no announcement, and too much waits for one already (limit: {limit})")
        elif state is not None:
            self._draft.put(inspection, replace(state, records=(*state.records, received)))
        else:
            self._draft.put(inspection, Held(until_ms=self._moment.now_ms + HOLD_MS, records=(received,)))

    def _replay(self, records: Sequence[Received]) -> None:
        for record in records:
            self.take(record)

    def _unreadable(self, received: Received, reason: str, detail: str) -> None:
        """A dead letter; and where it can be told whose it is, what it dooms."""
        said = event_type(received.header("ce_type") or "")
        try:
            inspection = parse_inspection(received.header("ce_subject") or "")
        except ValueError:
            return self._dead(received, reason, detail)
        state = self._draft.state(str(inspection))
        kind = said.kind if said else ""
        if kind == "announced" and isinstance(state, Part) and state.seen.get(ANNOUNCED) == _digest(received.value):
            self._draft.tally.copies[kind] += 1
            return
        if kind == "announced" and not isinstance(state, Part):
            self._announce_unreadable(received, inspection, state, f"{reason}: {detail}")
        elif kind in _DOOMED and isinstance(state, Part):
            self._take_step(fail_unreadable(state, f"{reason}: {detail}"[:500], self._of(state), self._moment, _DOOMED[kind]))
        self._dead(received, reason, detail)

    def _announce_unreadable(self, received: Received, inspection: InspectionId, state: Held | Rest | None, detail: str) -> None:
        if isinstance(state, Rest) or self._draft.forgotten(inspection):
            return
        seen = {ANNOUNCED: _digest(received.value)}
        self._draft.tally.announced[inspection.station] += 1
        step = announce_unreadable(inspection, _product_in(received.value), seen, detail[:500], self._moment)
        self._take_step(step)
        self._replay(state.records if isinstance(state, Held) else ())

    def _copy(self, message: Said) -> None:
        self._draft.tally.copies[_kind(message)] += 1

    def _dead(self, received: Received, reason: str, detail: str) -> None:
        self._draft.tally.dead[reason] += 1
        self._draft.outputs.append(dead_letter(received, stage=STAGE, reason=reason, detail=detail, attempts=1))

    def _rest(self, revision: int, seen: dict[str, str]) -> Rest:
        return Rest(revision=revision, until_ms=self._moment.now_ms + REST_MS, seen=seen)

    def _of(self, part: Part) -> Rules | Refused:
        return part.job.refused or self._rules.rules(part.job.policy, part.job.model_set)


def _seen_as(message: Said, event: str) -> str:
    """The event's id without what every event of the inspection shares."""
    shared = getattr(message, "model_set", None)
    return event.removeprefix(message.inspection).removesuffix(f"/{shared}")


def _kind(message: Said) -> str:
    return message.TYPE.split(".")[2]


def _size(record: Received) -> int:
    return len(record.value or b"") + sum(len(name) + len(value or b"") for name, value in record.headers)


def _digest(value: bytes | None) -> str:
    return blake2b(value or b"", digest_size=8).hexdigest()


def _standing(part: Part) -> str:
    given = "not judged yet" if part.given is None else f"revision {part.given.revision} is effective: {part.given.disposition}"
    return f"{part.job.inspection}: views {', '.join(part.job.frames)}; {given}"


def _product_in(value: bytes | None) -> str:
    """What a broken announcement still says of its product, or `unknown`."""
    try:
        product = json.loads(value or b"")["product"]
    except (ValueError, TypeError, KeyError):
        return "unknown"
    return product if isinstance(product, str) and _NAME.fullmatch(product) else "unknown"
