"""dead-letter.v1: a message that can never be processed, whole, with its reason. Any processor -> replay, engineers."""

from __future__ import annotations

from schemas.envelope import Received, Record
from schemas.topics import DEAD_LETTER

PREFIX = "dl_"
FACTS = ("topic", "partition", "offset", "stage", "reason", "detail", "attempts")


def dead_letter(received: Received, *, stage: str, reason: str, detail: str, attempts: int) -> Record:
    """The original bytes and headers, and beside them `dl_*` headers that say where it was and why it failed."""
    facts = {
        "topic": received.topic,
        "partition": str(received.partition),
        "offset": str(received.offset),
        "stage": stage,
        "reason": reason,
        "detail": detail[:1000],
        "attempts": str(attempts),
    }
    own = tuple((PREFIX + name, text.encode(errors="replace")) for name, text in facts.items())
    original = tuple((name, value) for name, value in received.headers if not name.startswith(PREFIX))
    return Record(topic=DEAD_LETTER, key=received.key, value=received.value, headers=(*original, *own))


def dead_letter_facts(received: Received) -> dict[str, str]:
    """topic, partition, offset, stage, reason, detail, attempts of a dead letter."""
    return {name: received.header(PREFIX + name) or "" for name in FACTS}
