"""Policies, model sets and what was seen of parts, kept for a while: read once, asked for at every answer.

A digest is a content, so what was read stays true; what was seen of a part is asked again for another revision of its verdict.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1

_VERSIONS, _VIEWS = 64, 500
V = TypeVar("V")


class Parts(Protocol):
    """The sink's database. All raise Unavailable."""

    def policy(self, digest: str) -> PolicyV1 | None: ...
    def model_set(self, digest: str) -> ModelSetV1 | None: ...
    def viewed(self, inspection: str) -> Any: ...


class Versions:
    """May be asked from any thread; raises Unavailable. What is not there is not remembered."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._policies: Kept[PolicyV1] = Kept(_VERSIONS)
        self._models: Kept[ModelSetV1] = Kept(_VERSIONS)
        self._views: Kept[Any] = Kept(_VIEWS)

    def policy(self, digest: str | None) -> PolicyV1 | None:
        return None if digest is None else self._policies.of(digest, lambda: self._parts.policy(digest))

    def model_set(self, digest: str | None) -> ModelSetV1 | None:
        return None if digest is None else self._models.of(digest, lambda: self._parts.model_set(digest))

    def viewed(self, inspection: str, revision: int) -> Any:
        """Views, their sizes and what the models saw (`ask_console.Viewed`), as when that revision was effective."""
        return self._views.of(f"{inspection}/{revision}", lambda: self._parts.viewed(inspection))


class Kept(Generic[V]):
    """At most so many; what was not asked for the longest goes."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._found: OrderedDict[str, V] = OrderedDict()

    def of(self, key: str, read: Callable[[], V | None]) -> V | None:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        found = read()
        if found is not None:
            with self._lock:
                self._found[key] = found
                while len(self._found) > self._most:
                    self._found.popitem(last=False)
        return found
