"""The registry with baselines: which is in force for a score stream and in what state, and the acts that change it.

Knows no statistics: a sample is carried, never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from confluent_kafka import TopicPartition

from schemas.act import ActV1
from schemas.baseline import BaselinePointerV1, BaselineStateV1, BaselineV1
from schemas.common import ModelRef, digest
from schemas.drift import ScoreStreamV1
from schemas.evidence import BaselineStampV1
from schemas.standing import Standing
from schemas.topics import BASELINE
from streams.fates import Unavailable
from streams.wiring.adapters.baselines import BaselineEntry, BaselineShelf
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable, Reader
from streams.wiring.adapters.registry import OF_A_BASELINE, Published, Registry
from streams.wiring.adapters.shelf import CURRENT

_ONE = {"max.partition.fetch.bytes": 1}  # the broker gives a whole batch all the same, and no more


class BaselineRegistry(Registry):
    """As Registry, and follows baseline.v1. `<stream>` is always the digest of a ScoreStreamV1."""

    def __init__(self, client: Mapping[str, Any], *, timeout_s: float = 10.0) -> None:
        self._shelf = BaselineShelf()
        super().__init__(client, timeout_s=timeout_s, more=[self._shelf])

    def baseline(self, digest: str) -> BaselineV1 | None:
        """That version, read from its topic; None: there is none, after reading to the end once more. Raises Unavailable."""
        if (entry := self._shelf.entries.get(digest)) is not None and (found := self._fetched(entry)) is not None:
            return found
        self.refresh()  # it is new, or compaction has kept a later copy
        if (entry := self._shelf.entries.get(digest)) is None:
            return None
        if (found := self._fetched(entry)) is None:
            raise Unavailable(f"baseline {digest} is not at offset {entry.offset} of {BASELINE} any more")
        return found

    def baseline_entries(self) -> dict[str, BaselineEntry]:
        """Every version that was ever published, by its digest, without the sample."""
        with self._changed:
            return dict(self._shelf.entries)

    def baseline_pointers(self) -> dict[str, BaselinePointerV1]:
        """`<stream>` -> what the last act said."""
        with self._changed:
            return dict(self._shelf.pointers)

    def baseline_states(self) -> dict[str, BaselineStateV1]:
        """`<stream>` -> what drift said last; it counts only where it speaks of the baseline that is in force."""
        with self._changed:
            return dict(self._shelf.states)

    def score_streams(self) -> dict[str, ScoreStreamV1]:
        """`<stream>` -> the score stream, for all that anything is known of."""
        with self._changed:
            return self._shelf.streams()

    def standing(self, stream: str) -> Standing:
        """On which baseline the stream stands and how well, from memory."""
        with self._changed:
            return self._shelf.standing(stream)

    def baseline_stamp(self, model_set: str, station: str, view: str, acquisition: str) -> BaselineStampV1 | None:
        """What a view of a part is stamped with, from memory. None: the set is unknown, or has no anomaly model.

        Raises Unavailable before the first reading.
        """
        if not self._complete:
            raise Unavailable(self._fault)
        with self._changed:
            models = self._model_sets.versions.get(model_set)
            model = models.model("anomaly") if models else None
            if models is None or model is None:
                return None
            stream = stream_digest(station, view, models.product, acquisition, model.ref)
            found = self._shelf.standing(stream)
        return BaselineStampV1(stream=stream, baseline=found.stamped, state=found.state)

    def publish_baseline(self, message: BaselineV1, *, who: str, why: str) -> Published:
        """Put it in force for its stream: the version, the pointer, the act, each acked before the next; read back.

        Doing it again changes nothing; it completes what was cut off. Raises ValueError where it names an anchor or a
        parent that is not on the topic, or is another stream's; Unavailable; KafkaRefused.
        """
        self.refresh()
        stream, named, now = digest(message.stream), digest(message), datetime.now(UTC)
        with self._changed:
            self._insist_on_kin(message)
            before = self._shelf.pointers.get(stream)
            version = None if named in self._shelf.entries else message
        pointer = BaselinePointerV1(stream=message.stream, baseline=named, who=who, why=why, at=now)
        act = ActV1(act="baseline_in_force", where=f"{CURRENT}{stream}", digest=named, who=who, why=why, at=now)
        return self._put(act, version, None if before is not None and before.baseline == named else pointer)

    def retire_baseline(self, stream: str, *, who: str, why: str) -> Published:
        """From now on no baseline is in force for this stream: as `publish_baseline`.

        The act names the one that was. Raises ValueError where there never was one; Unavailable; KafkaRefused.
        """
        self.refresh()
        where = f"{CURRENT}{stream}"
        with self._changed:
            before, scores = self._shelf.pointers.get(stream), self._shelf.streams().get(stream)
            named = self._shelf.standing(stream).baseline or self._shelf.calibrations.get(stream)
        retired = before is not None and before.baseline is None
        if retired and (last := self._last_act(where, OF_A_BASELINE)) is not None:
            named = last.digest
        if scores is None or named is None:
            raise ValueError(f"no baseline was ever in force for score stream {stream}")
        now = datetime.now(UTC)
        pointer = BaselinePointerV1(stream=scores, baseline=None, who=who, why=why, at=now)
        act = ActV1(act="baseline_retired", where=where, digest=named, who=who, why=why, at=now)
        return self._put(act, None, None if retired else pointer)

    def _insist_on_kin(self, message: BaselineV1) -> None:
        for place, relative in (("anchor", message.anchor), ("parent", message.parent)):
            entry = self._shelf.entries.get(relative or "")
            if relative is not None and entry is None:
                raise ValueError(f"{place}: no baseline {relative} was ever published")
            if entry is not None and entry.stream != message.stream:
                raise ValueError(f"{place}: baseline {relative} belongs to another score stream")

    def _fetched(self, entry: BaselineEntry) -> BaselineV1 | None:
        """The record at the entry's place, if it is still the one."""
        try:
            with Reader({**self._client, **_ONE}, [TopicPartition(BASELINE, 0, entry.offset)]) as reader:
                records = reader.take(self._timeout_s)
        except (KafkaRefused, KafkaUnreachable) as error:
            raise Unavailable(str(error)) from error
        if records is None:
            raise Unavailable(f"{BASELINE} gave nothing within {self._timeout_s:.0f} s")
        found = next((one for one in records if one.key == entry.digest.encode()), None)
        return None if found is None else BaselineV1.read(found.value or b"")


@lru_cache(maxsize=4096)
def stream_digest(station: str, view: str, product: str, acquisition: str, model: ModelRef) -> str:
    """The id of a score stream; kept, because every part of a station asks for the same few."""
    return digest(ScoreStreamV1(station=station, view=view, product=product, acquisition=acquisition, model=model))
