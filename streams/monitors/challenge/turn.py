"""One step's working copy of a station's memory, and what the step says. Frozen again when the step is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from schemas.challenge import ChallengeDueV1, StationProofV1
from schemas.common import Message, Proof
from schemas.envelope import from_millis
from streams.monitors.challenge.memory import MOST_CLOSED, Line, OpenSet, StationState, Window, line_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message for challenge.v1, its id and what it is about."""

    id: str
    subject: str
    message: Message


class Turn:
    """Lines and open sets are replaced, never changed."""

    def __init__(self, state: StationState) -> None:
        self.state = state
        self.lines, self.open = dict(state.lines), dict(state.open)
        self.closed, self.windows = list(state.closed), list(state.windows)
        self.limits = dict(state.limits)
        self.said: list[Said] = []
        self._told = {key: _proof(line) for key, line in state.lines.items()}

    def line(self, product: str, proof: Proof) -> Line:
        return self.lines.get(line_key(product, proof)) or Line(product=product, proof=proof)

    def put(self, line: Line) -> Line:
        self.lines[line_key(line.product, line.proof)] = line
        return line

    def lines_of(self, product: str) -> Iterator[Line]:
        yield from [line for line in self.lines.values() if line.product == product]

    def busy(self, line: Line, *, limit: bool = False) -> bool:
        """Whether a set that this program asked for still waits for answers."""
        return any(
            (one.due.product, one.due.proof, one.due.trigger == "limit") == (line.product, line.proof, limit)
            and automatic_set(key)
            for key, one in self.open.items()
        )

    def knows(self, set: str) -> bool:
        return set in self.open or set in self.closed

    def begin(self, due: ChallengeDueV1, since: int) -> None:
        self.open[due.set] = OpenSet(due=due, since=since)

    def finish(self, set: str) -> None:
        self.open.pop(set, None)
        self.closed = [*self.closed, set][-MOST_CLOSED:]

    def say(self, id: str, subject: str, message: Message) -> None:
        self.said.append(Said(id=f"{self.state.station}/{id}", subject=subject, message=message))

    def suspect(self, line: Line, set: str, until: int, at_ms: int) -> Line:
        """The parts since the line's last window, or since its last pass, are to be published; the next window begins after."""
        window = Window(
            product=line.product,
            proof=line.proof,
            set=set,
            after=until if line.window_from is None else line.window_from,
            until=until,
            count=line.unsafe,
            last_pass=line.last_pass,
            last_pass_ms=line.last_pass_ms,
            at_ms=at_ms,
        )
        self.windows.append(window)
        return replace(line, window_from=until, unsafe=0)

    def tell(self, at_ms: int) -> None:
        """Every line whose proof is another than was told last. at_ms: append time of what changed it."""
        for key, line in self.lines.items():
            if self._told.get(key) != _proof(line):
                self._told[key] = _proof(line)
                self.lines[key] = line = replace(line, told=line.told + 1)
                self.say(f"{key}/proof/{line.told}", key, self._proof(line, at_ms))

    def done(self, state: StationState) -> tuple[StationState, list[Said]]:
        """state: with everything that the turn does not keep itself."""
        after = replace(
            state,
            lines=self.lines,
            open=self.open,
            limits=self.limits,
            closed=tuple(self.closed),
            windows=tuple(self.windows),
        )
        return after, self.said

    def _proof(self, line: Line, at_ms: int) -> StationProofV1:
        return StationProofV1(
            station=self.state.station,
            product=line.product,
            proof=line.proof,
            proven=line.proven,
            why=line.why[:500],
            set=line.set,
            last_pass=line.last_pass,
            last_pass_at=None if line.last_pass_ms is None else from_millis(line.last_pass_ms),
            parts_since=line.since_pass,
            at=from_millis(at_ms),
        )


def _proof(line: Line) -> tuple[bool, str, str | None]:
    return line.proven, line.why, line.last_pass


AUTOMATIC, UNASKED = "auto/", "unasked/"


def automatic_set(set: str) -> bool:
    """Asked for by the schedule."""
    return set.startswith(AUTOMATIC)
