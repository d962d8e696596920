"""Policies and model sets: every version for ever, which is in force where, and the acts that changed it.

Follows policy.v1 and model-set.v1 in a thread of its own; answers come from memory. Knows no rule of a policy. Who needs
baselines too takes `BaselineRegistry`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol, Self

from confluent_kafka import KafkaException, TopicPartition

from schemas.act import ActV1
from schemas.codec import keyed
from schemas.common import Message, digest
from schemas.envelope import ContractError, Received, Record, rfc3339
from schemas.model_set import ModelSetPointerV1, ModelSetV1
from schemas.policy import PointerV1, PolicyV1
from schemas.topics import ACT
from streams.fates import Unavailable
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable, Reader, Writer, ends, read_all
from streams.wiring.adapters.shelf import P, Shelf, V, model_sets, policies, where_of

LOG = logging.getLogger(__name__)
_WAKE_S = 0.25
_AGAIN_S = 1.0
OF_A_BASELINE = ("baseline_in_force", "baseline_retired")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What is in force for a product at a station: digests of policy and model set, and the policy's deadline."""

    policy: str
    model_set: str
    decide_within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """where: the pointer. changed: False where this version was in force already."""

    digest: str
    where: str
    changed: bool


class Followed(Protocol):
    """A topic as read so far: what a registry fills."""

    @property
    def topic(self) -> str: ...

    @property
    def skipped(self) -> int: ...

    def take(self, received: Received) -> None: ...


class Registry:
    """`with Registry(client) as registry:` follows its topics until it is left. Any thread may ask it; one a process is enough.

    client: settings of the Kafka client. Nothing fails while Kafka is away, but what was never read raises Unavailable.
    more: what else is followed, in the same thread.
    """

    def __init__(self, client: Mapping[str, Any], *, timeout_s: float = 10.0, more: Sequence[Followed] = ()) -> None:
        self._client = dict(client)
        self._timeout_s = timeout_s
        self._policies, self._model_sets = policies(), model_sets()
        followed: list[Followed] = [self._policies, self._model_sets, *more]
        self._shelves = {one.topic: one for one in followed}
        self._at = dict.fromkeys(self._shelves, 0)
        self._complete = False
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._fault = "not read yet"
        self._thread = threading.Thread(target=self._follow, name="registry", daemon=True)

    def start(self) -> Self:
        """Begin to follow; returns at once."""
        self._thread.start()
        return self

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2)  # longer only while Kafka is away

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def skipped(self) -> int:
        """Records that broke the contract."""
        return sum(shelf.skipped for shelf in self._shelves.values())

    def wait_ready(self, timeout_s: float | None = None) -> None:
        """Return when all topics have been read to the end once. Raises Unavailable with the reason."""
        self._await(lambda: self._complete, self._timeout_s if timeout_s is None else timeout_s)

    def refresh(self) -> None:
        """Read all topics to the ends that they have now. Raises Unavailable."""
        try:
            wanted = {name: end for (name, _), end in ends(self._client, list(self._at), timeout_s=self._timeout_s).items()}
        except (KafkaUnreachable, KafkaRefused, KafkaException) as error:
            raise Unavailable(str(error)) from error
        self._await(lambda: self._complete and all(self._at[name] >= end for name, end in wanted.items()), self._timeout_s)

    def policy(self, digest: str) -> PolicyV1 | None:
        """That version; None: there is none, after reading to the end once more. Raises Unavailable."""
        return self._version(self._policies, digest)

    def model_set(self, digest: str) -> ModelSetV1 | None:
        """As `policy`."""
        return self._version(self._model_sets, digest)

    def _version(self, shelf: Shelf[V, P], digest: str) -> V | None:
        if digest not in shelf.versions:
            self.refresh()
        return shelf.versions.get(digest)

    def stamp(self, product: str, station: str) -> Stamp | None:
        """From memory. None: no policy or no model set is in force there. Raises Unavailable before the first reading."""
        if not self._complete:
            raise Unavailable(self._fault)
        with self._changed:
            policy, model_set = self._policies.current(product, station), self._model_sets.current(product, station)
            if policy is None or model_set is None:
                return None
            seconds = self._policies.versions[policy].decide_within_s
        return Stamp(policy=policy, model_set=model_set, decide_within_s=seconds)

    def policies_in_force(self) -> dict[str, str]:
        """`current/...` -> digest."""
        return {where: pointer.digest for where, pointer in self.policy_pointers().items()}

    def policy_pointers(self) -> dict[str, PointerV1]:
        """`current/...` -> the digest, and who put it in force and why."""
        with self._changed:
            return dict(self._policies.pointers)

    def model_sets_in_force(self) -> dict[str, str]:
        """`current/...` -> digest."""
        return {where: pointer.digest for where, pointer in self.model_set_pointers().items()}

    def model_set_pointers(self) -> dict[str, ModelSetPointerV1]:
        """`current/...` -> the digest, and who put it in force and why."""
        with self._changed:
            return dict(self._model_sets.pointers)

    def model_sets(self) -> dict[str, ModelSetV1]:
        """Every version by digest, in force or not."""
        with self._changed:
            return dict(self._model_sets.versions)

    def model_set_acts(self, where: str) -> list[ActV1]:
        """Who put which model set in force there, the oldest first. Reads act.v1. Raises Unavailable."""
        try:
            return [act for act in self._acts(where) if act.act == "model_set_in_force"]
        except KafkaUnreachable as error:
            raise Unavailable(str(error)) from error

    def model_set_for(self, product: str, station: str | None = None) -> ModelSetV1 | None:
        """The model set in force there, from memory."""
        with self._changed:
            found = self._model_sets.current(product, station)
            return self._model_sets.versions[found] if found else None

    def policy_for(self, product: str, station: str | None = None) -> PolicyV1 | None:
        """The policy in force there, from memory."""
        with self._changed:
            found = self._policies.current(product, station)
            return self._policies.versions[found] if found else None

    def publish_policy(self, message: PolicyV1, *, who: str, why: str) -> Published:
        """Put it in force: the version, then the pointer, then the act, each acked before the next. Returns when read back.

        Doing it again changes nothing; it completes what was cut off. Raises Unavailable; KafkaRefused.
        """
        return self._publish(self._policies, message, PointerV1(digest=digest(message), who=who, why=why))

    def publish_model_set(self, message: ModelSetV1, *, who: str, why: str) -> Published:
        """As `publish_policy`."""
        return self._publish(self._model_sets, message, ModelSetPointerV1(digest=digest(message), who=who, why=why))

    def offer_model_set(self, message: ModelSetV1) -> str:
        """Write the version, which is in force nowhere by that; its digest. Raises Unavailable; KafkaRefused."""
        self.refresh()
        found, where = digest(message), where_of(message.product, message.station)
        try:
            if found not in self._model_sets.versions:
                self._write(keyed(message, id=found, key=found, subject=where, time=datetime.now(UTC)))
        except KafkaUnreachable as error:
            raise Unavailable(str(error)) from error
        self.refresh()
        return found

    def _publish(self, shelf: Shelf[V, P], message: V, pointer: P) -> Published:
        self.refresh()
        where = where_of(message.product, message.station)
        before = shelf.pointers.get(where)
        changed = before is None or before.digest != pointer.digest
        act = ActV1(act=shelf.act, where=where, digest=pointer.digest, who=pointer.who, why=pointer.why, at=datetime.now(UTC))
        return self._put(act, None if pointer.digest in shelf.versions else message, pointer if changed else None)

    def _put(self, act: ActV1, version: Message | None, pointer: Message | None) -> Published:
        """Write what is not there yet, in this order, then the act where it is not recorded; return when it is read back."""
        once = f"{act.where}/{act.digest}/{rfc3339(act.at)}"
        try:
            if version is not None:
                self._write(keyed(version, id=act.digest, key=act.digest, subject=act.where, time=act.at))
            if pointer is not None:
                self._write(keyed(pointer, id=once, key=act.where, subject=act.where, time=act.at))
            if pointer is not None or not self._recorded(act):
                self._write(keyed(act, id=f"{once}/act", key=act.where, subject=act.where, time=act.at))
        except KafkaUnreachable as error:
            raise Unavailable(str(error)) from error
        self.refresh()
        return Published(digest=act.digest, where=act.where, changed=pointer is not None)

    @cached_property
    def _writer(self) -> Writer:
        return Writer(self._client, **{"linger.ms": 0})

    def _write(self, record: Record) -> None:
        try:
            self._writer.send(record)
            self._writer.flush(self._timeout_s)
        except (KafkaRefused, KafkaUnreachable):
            del self._writer  # it keeps what failed
            raise

    def _recorded(self, wanted: ActV1) -> bool:
        """Whether the last act of its kind about this pointer names the same version."""
        last = self._last_act(wanted.where, OF_A_BASELINE if wanted.act in OF_A_BASELINE else (wanted.act,))
        return last is not None and (last.act, last.digest) == (wanted.act, wanted.digest)

    def _last_act(self, where: str, kinds: Sequence[str]) -> ActV1 | None:
        found = [act for act in self._acts(where) if act.act in kinds]
        return found[-1] if found else None

    def _acts(self, where: str) -> Iterator[ActV1]:
        """About that pointer, the oldest first."""
        for received in read_all(self._client, [ACT]):
            try:
                act = ActV1.read(received.value or b"")
            except ContractError:
                continue
            if act.where == where:
                yield act

    def _await(self, done: Callable[[], bool], timeout_s: float) -> None:
        if not self._thread.is_alive():
            raise RuntimeError("the registry does not follow: start() it, or use `with`")
        with self._changed:
            if not self._changed.wait_for(done, timeout_s):
                raise Unavailable(f"{', '.join(self._shelves)} could not be read within {timeout_s:.0f} s: {self._fault}")

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                end = ends(self._client, list(self._at), timeout_s=self._timeout_s)  # raises where broker or topic is missing
                begin = [TopicPartition(name, 0, offset) for name, offset in self._at.items()]
                with Reader({**self._client, "fetch.wait.max.ms": 2000}, begin) as reader:
                    self._read(reader, {name: offset for (name, _), offset in end.items()})
            except (KafkaRefused, KafkaUnreachable, KafkaException) as error:
                with self._changed:
                    self._fault = str(error)
                LOG.warning("%s cannot be followed: %s", ", ".join(self._shelves), error)
                self._stop.wait(_AGAIN_S)

    def _read(self, reader: Reader, first_end: Mapping[str, int]) -> None:
        while not self._stop.is_set():
            records = reader.take(_WAKE_S)
            if records is None:
                continue
            with self._changed:
                for record in records:
                    self._shelves[record.topic].take(record)
                self._at.update({name: offset for (name, _), offset in reader.at.items()})
                self._complete = self._complete or all(self._at[name] >= end for name, end in first_end.items())
                self._changed.notify_all()
