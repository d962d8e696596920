"""One score stream from its first part on: evidence in, events, states and summaries out. Pure; time is log time.

A part is put in order, set against the baseline that it is stamped with, judged, and counted into window and certificate.
Another stamp is another baseline: its state starts anew from that part on, but one that is missing for a while changes nothing
of what was known before. What a part of another purpose says is not judged.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.common import Message
from streams.monitors import detector
from streams.monitors.announcing import detected, event_id, happened, stands, summarised, warned
from streams.monitors.golden import Golden
from streams.monitors.lifecycle import Trust, counted, word
from streams.monitors.ordering import GAP_MS, Fate, Order, Scored, admit, closes, overdue
from streams.monitors.references import Ground, References
from streams.monitors.score import Score
from streams.monitors.stream_state import MOST_LOTS, LotMark, Parked, StreamState
from streams.monitors.summary import FIXED_EDGES
from streams.monitors.summary import counted as counted_in
from streams.monitors.witnesses import begun, met, saw


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """id: the stream's digest. every_ms: length of a window."""

    id: str
    references: References
    every_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """fate: of the part that came. judged: how many scores were released; holes: how many gave up waiting for others."""

    state: StreamState
    messages: tuple[Message, ...] = ()
    fate: Fate = "fresh"
    judged: int = 0
    holes: int = 0


def step(state: StreamState, part: Scored, rules: Rules) -> Outcome:
    """Take one part. A copy changes nothing but, by its append time, what was waiting."""
    order, released, fate = admit(state.order, part)
    return _judged(state, order, released, rules, fate)


def expire(state: StreamState, log_ms: int, rules: Rules) -> Outcome:
    """What time alone does: close holes, then the window. log_ms: how far the log is known to have gone."""
    order, released = overdue(state.order, log_ms)
    outcome = _judged(state, order if released else state.order, released, rules, "fresh")
    window = outcome.state.window
    if window is None or log_ms < window.opened_ms + rules.every_ms + GAP_MS:
        return outcome
    draft = Draft(outcome.state, rules)
    draft.close_window()
    return Outcome(state=draft.state, messages=(*outcome.messages, *draft.messages), judged=outcome.judged, holes=outcome.holes)


def due(state: StreamState, every_ms: int) -> int | None:
    """Log time when `expire` has something to do; None: never, without another part.

    A window waits GAP_MS longer than it lasts: until then a score that belongs into it may be held back by a hole.
    """
    times = [] if state.window is None else [state.window.opened_ms + every_ms + GAP_MS]
    if (hole := closes(state.order)) is not None:
        times.append(hole)
    return min(times, default=None)


def _left(state: StreamState) -> Parked | None:
    """The last baseline by an act, where the stream stands on it or left it for want of a stamp."""
    if state.basis is not None and state.basis.stamp is not None:
        return Parked(state.basis, state.said, state.trust, state.detector)
    return state.parked


def _judged(state: StreamState, order: Order, released: list[Scored], rules: Rules, fate: Fate) -> Outcome:
    draft = Draft(state._replace(order=order), rules)
    for part in released:
        draft.take(part)
    places = [state.order[1:3], *(part[:2] for part in released)]
    holes = sum(before != after and before[0] >= 0 for before, after in zip(_next(places), places[1:], strict=False))
    judged = sum(part.score is not None and part.golden is None for part in released)
    return Outcome(state=draft.state, messages=tuple(draft.messages), fate=fate, judged=judged, holes=holes)


def _next(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(epoch, n + 1) for epoch, n in places]


class Draft:
    """A stream's state while parts move it, and what is to be said of it."""

    def __init__(self, state: StreamState, rules: Rules) -> None:
        self.state = state
        self.messages: list[Message] = []
        self._rules = rules

    def take(self, part: Scored) -> None:
        """The next part in order."""
        if part.score is None:
            return
        if part.golden is not None:
            self._meet(part, part.score, Golden(*part.golden))
            return
        self.state = self.state._replace(moment_ms=max(self.state.moment_ms, part.at_ms))
        if self.state.basis is None or not self.state.basis.holds(part):
            self._settle(part)
        ground = self._ground()
        self._count(part, part.score, ground)
        if ground is not None:
            self._judge(part, part.score, ground)

    def close_window(self, latest_ms: int | None = None) -> None:
        """At its end, or at latest_ms if that is earlier."""
        if (window := self.state.window) is not None:
            end_ms = window.opened_ms + self._rules.every_ms
            closed_ms = end_ms if latest_ms is None else min(end_ms, latest_ms)
            self.messages.append(summarised(self.state, self._ground(), closed_ms))
            self.state = self.state._replace(window=None)

    def _settle(self, part: Scored) -> None:
        """Stand on what the part is stamped with."""
        self.close_window(self.state.moment_ms)
        first = self.state.basis is None
        parked = _left(self.state)
        if parked is not None and part.baseline == parked.basis.stamp:
            self._resume(part, parked)
            return
        settled = self._rules.references.settle(self.state.stream, part)
        trust = Trust(self.state.moment_ms)
        self.state = self.state._replace(
            basis=settled.basis,
            trust=trust,
            detector=None,
            said=None,
            witnesses=begun(self.state.witnesses),
            parked=parked if part.baseline is None else None,
        )
        ground = self._ground()
        if ground is None:
            self.messages.append(happened(self.state, None, part, "no_baseline", detail=settled.fault))
            return
        said = word(settled.basis.origin, "normal", trust)
        self.state = self.state._replace(detector=detector.init(ground.baseline), said=said)
        event = happened(self.state, ground, part, "new_stream" if first else "new_baseline")
        if settled.made is not None:
            self.messages.append(settled.made)
        self.messages += [event, stands(self.state, part, event_id(self._rules.id, event))]

    def _resume(self, part: Scored, parked: Parked) -> None:
        """The stamp of before is back: so is all that was known, a suspicion above all."""
        self.state = self.state._replace(
            basis=parked.basis,
            said=parked.said,
            trust=parked.trust,
            detector=parked.detector,
            witnesses=begun(self.state.witnesses),
            parked=None,
        )
        ground = self._ground()
        if ground is None:
            self.messages.append(happened(self.state, None, part, "no_baseline", detail="as before"))
            return
        event = happened(
            self.state, ground, part, "new_baseline", detail="the baseline of before, in the state that it was left in"
        )
        self.messages += [event, stands(self.state, part, event_id(self._rules.id, event))]

    def _count(self, part: Scored, score: float, ground: Ground | None) -> None:
        state, window = self.state, self.state.window
        if window is not None and state.moment_ms >= window.opened_ms + self._rules.every_ms:
            self.close_window()
            window = None
        edges = ground.baseline.edges if ground else FIXED_EDGES
        self.state = self.state._replace(window=counted_in(window, part, score, state.moment_ms, edges))
        if part.lot is not None and (not state.lots or state.lots[-1].lot != part.lot):
            self.state = self.state._replace(lots=(*state.lots, LotMark(part.epoch, part.n, part.lot))[-MOST_LOTS:])

    def _judge(self, part: Scored, score: float, ground: Ground) -> None:
        state = self.state
        assert state.detector is not None
        assert state.basis is not None
        at = Score(score, part.epoch, part.n, part.at_ms, part.lot)
        after, found = detector.step(ground.baseline, state.detector, at)
        trust = counted(state.trust, part, state.moment_ms, ground.certificate)
        said = word(state.basis.origin, after.mode, trust)
        seen, heard = saw(state.witnesses, ground.standards, part.image)
        self.state = state._replace(detector=after, trust=trust, said=said, witnesses=seen)
        events = []
        if found:
            threshold = self._rules.references.threshold(state.stream.view, part)
            events += [detected(self.state, ground, part, event, threshold) for event in found]
        if trust.expired and not state.trust.expired:
            events.append(happened(self.state, ground, part, "certificate_expired", detail=trust.expired))
        self.messages += events
        if said != state.said or trust.expired != state.trust.expired:
            self.messages.append(stands(self.state, part, event_id(self._rules.id, events[-1])))
        if heard is not None:
            self.messages.append(warned(self.state, ground, part, "image_moved", heard))

    def _meet(self, part: Scored, score: float, golden: Golden) -> None:
        """A golden part: heard where the stream has a baseline, never judged. It names the cause of an alarm of the scores."""
        state, ground = self.state, self._ground()
        if ground is None or state.detector is None:
            return
        seen, heard = met(state.witnesses, ground.standards, golden, score, state.detector.part)
        self.state = state._replace(witnesses=seen)
        if heard is not None and state.detector.mode == "normal":
            self.messages.append(warned(self.state, ground, part, "golden_moved", heard))

    def _ground(self) -> Ground | None:
        state = self.state
        return None if state.basis is None else self._rules.references.ground(state.stream.view, state.basis)
