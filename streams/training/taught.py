"""What a classification head was fitted on, a row an image: kept beside the head, so that a refit is exact without the images.

Knows no image: the embedding is what the head sees of one, the thumbnail what a person does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.training.features import EMBEDDING_SIZE, BoolArray, FloatArray, IntArray

Arrays = dict[str, npt.NDArray[Any]]
_TEXTS = ("label", "group", "view", "source", "taxonomy", "image")


@dataclass(frozen=True, kw_only=True, eq=False)
class Taught:
    """embedding (n, 992), all other fields n long. group: never torn apart. fold: who is held out together, -1 is nobody.

    source: `inspection/view` of a labelled part; empty: of the folder that was fitted on. taxonomy: digest of the version that
    the label is of, empty where there was none. image: SHA-256 of its bytes. normal: what the anomaly model did not find
    strange; None where there is no such model. thumbnail: JPEG.
    """

    embedding: FloatArray
    label: tuple[str, ...]
    group: tuple[str, ...]
    view: tuple[str, ...]
    source: tuple[str, ...]
    taxonomy: tuple[str, ...]
    image: tuple[str, ...]
    fold: IntArray
    normal: BoolArray | None
    thumbnail: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.label)

    def parts(self, label: str) -> int:
        """How many groups this class has."""
        return len({group for group, own in zip(self.group, self.label, strict=True) if own == label})

    def arrays(self) -> Arrays:
        """Without pickles, for a file."""
        ends = np.cumsum([len(one) for one in self.thumbnail], dtype=np.int64)
        joined = np.frombuffer(b"".join(self.thumbnail), np.uint8)
        texts: Arrays = {name: np.array(getattr(self, name), np.str_) for name in _TEXTS}
        kept: Arrays = {"embedding": self.embedding, "fold": self.fold, "thumbnails": joined, "ends": ends}
        return {**texts, **kept, **({} if self.normal is None else {"normal": self.normal})}


def taught(arrays: Mapping[str, npt.NDArray[Any]]) -> Taught:
    """What `arrays` gave. Raises ValueError where it is something else."""
    missing = [name for name in (*_TEXTS, "embedding", "fold", "thumbnails", "ends") if name not in arrays]
    if missing or arrays["embedding"].shape != (len(arrays["label"]), EMBEDDING_SIZE):
        raise ValueError(f"no rows of {EMBEDDING_SIZE} with their labels: {', '.join(missing) or 'another width'}")
    data = arrays["thumbnails"].tobytes()
    bounds = zip([0, *arrays["ends"][:-1]], arrays["ends"], strict=True) if len(arrays["ends"]) else ()
    return Taught(
        embedding=np.asarray(arrays["embedding"], np.float32),
        fold=np.asarray(arrays["fold"], np.int64),
        normal=np.asarray(arrays["normal"], bool) if "normal" in arrays else None,
        thumbnail=tuple(data[int(begin) : int(end)] for begin, end in bounds),
        **{name: tuple(map(str, arrays[name])) for name in _TEXTS},
    )


def chosen(rows: Taught, which: Sequence[int], labels: Sequence[str] | None = None) -> Taught:
    """Some of the rows, in that order. labels: of them, where they are others now."""
    at = np.asarray(which, np.int64)
    texts: dict[str, Any] = {name: tuple(getattr(rows, name)[i] for i in at) for name in _TEXTS}
    return Taught(
        embedding=rows.embedding[at],
        fold=rows.fold[at],
        normal=None if rows.normal is None else rows.normal[at],
        thumbnail=tuple(rows.thumbnail[i] for i in at),
        **{**texts, **({} if labels is None else {"label": tuple(labels)})},
    )


def joined(first: Taught, second: Taught) -> Taught:
    """Both, one after the other. Raises ValueError where only one of them knows what is normal."""
    if (first.normal is None) != (second.normal is None):
        raise ValueError("only one of the two knows which parts are normal")
    return Taught(
        embedding=np.concatenate([first.embedding, second.embedding]),
        fold=np.concatenate([first.fold, second.fold]),
        normal=None if first.normal is None or second.normal is None else np.concatenate([first.normal, second.normal]),
        thumbnail=first.thumbnail + second.thumbnail,
        **{name: getattr(first, name) + getattr(second, name) for name in _TEXTS},
    )


def dealt(rows: Taught, folds: int) -> Taught:
    """Every row with a fold: a known group keeps its own, a new one goes where its label has the fewest groups so far."""
    have = {group: int(fold) for group, fold in zip(rows.group, rows.fold, strict=True) if fold >= 0}
    load: dict[str, Counter[int]] = defaultdict(Counter)
    for group, label in dict.fromkeys((g, label) for g, label in zip(rows.group, rows.label, strict=True) if g in have):
        load[label][have[group]] += 1
    for group, label in _first_labels(rows):
        if group not in have:
            have[group] = min(range(folds), key=lambda fold, label=label: (load[label][fold], fold))  # type: ignore[misc]
            load[label][have[group]] += 1
    return replace(rows, fold=np.array([have[group] for group in rows.group], np.int64))


def _first_labels(rows: Taught) -> Iterator[tuple[str, str]]:
    """Each group with the first of its labels, in order."""
    seen: dict[str, str] = {}
    for group, label in zip(rows.group, rows.label, strict=True):
        seen.setdefault(group, label)
    yield from seen.items()
