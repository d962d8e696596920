"""Queue: one part after the other, one key each. Every answer brings the next part, and names the images of the one after it.

With its script the page puts the next part in place of the last one; without it each answer loads the page again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, get_args
from urllib.parse import urlencode

from starlette.responses import Response

from schemas.label import Answer, Opinion
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from schemas.taxonomy import TaxonomyV1
from streams.fates import Unavailable
from streams.review import words
from streams.wiring.console import painted
from streams.wiring.console.inspection import Picture, pictures
from streams.wiring.console.ports import Ask
from streams.wiring.console.rendering import page, piece
from streams.wiring.console.reviews import Done, Form, Held
from streams.wiring.console.security import Rejected

MOST_WHY, MOST_DIGITS = 2000, 9
SCRIPTED = "x-part"
OPINIONS: tuple[Opinion, ...] = get_args(Opinion)
NEW, KEYS, BY_SIZE = "new", "123456789", "by its size"
MOST_LIKE = 4
_FAULTS = {
    "closed": "This part was decided meanwhile. Nothing was changed.",
    "gone": "Nothing is known of this part any more. Nothing was changed.",
    "held_by_another": "Somebody else has this part now. Nothing was changed.",
    "already_answered": "You have answered this part already, and differently. The first answer counts; it can be taken back.",
    "stale": "This part has changed since the page was drawn. Nothing was changed: look again.",
    "not_yours": "That answer is not yours. Nothing was changed.",
    "unknown_class": "There is no such class any more. Nothing was changed: look again.",
    "not_last": "Only your last answer can be taken back, and that was another one. Nothing was changed.",
    "too_late": "Answers can be taken back for an hour. Nothing was changed.",
}
_FATES = {"pass": "it passes", "rework": "rework", "scrap": "scrap"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One button. value: of the form. fate: what becomes of the part; share: how likely the classifier finds it, where shown."""

    key: str
    value: str
    name: str
    fate: str
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Like:
    """A labelled part that looks like this one. url: of its small image; said: the class, or good."""

    url: str
    inspection: str
    said: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One part as the page shows it. opinions: what was said of it, where an engineer decides. likes: the nearest first."""

    held: Held
    pictures: tuple[Picture, ...]
    classes: tuple[Choice, ...]
    unnamed: tuple[Choice, ...]
    p_value: float | None
    opinions: tuple[Any, ...] = ()
    likes: tuple[Like, ...] = ()


def show(ask: Ask) -> Response:
    return _shown(ask, painted.DONE.get(ask.asked("done"), ""))


def answer(ask: Ask) -> Response:
    form = _form(ask)
    done = ask.ports.reviews.answer(form, ask.who, _role(ask), ask.now)
    if isinstance(done, Done):
        return _shown(ask, _said(form, done))
    return _shown(ask, "" if done == "copy" else _FAULTS[done], fault=done != "copy")


def undo(ask: Ask) -> Response:
    number = _number(ask.form.get("number", ""))
    found = ask.ports.reviews.undo(number, ask.who, _role(ask), ask.now) if number is not None else "!not_last"
    if found.startswith("!"):
        return _shown(ask, _FAULTS[found[1:]], fault=True)
    return _shown(ask, "Taken back: here it is again.", first=found)


def skip(ask: Ask) -> Response:
    ask.ports.reviews.skip(ask.form.get("inspection", ""), ask.who, ask.now)
    return _shown(ask, "Put back: you are not asked again for ten minutes, others may be.")


def _shown(ask: Ask, said: str, *, fault: bool = False, first: str | None = None) -> Response:
    held = ask.ports.reviews.hand(ask.who, _role(ask), ask.now, first)
    last = ask.ports.reviews.last(ask.who, ask.now)
    paint = last is not None and ask.ports.masks.answered(last.inspection, ask.who)
    values: dict[str, Any] = {
        "one": _part(ask, held[0]) if held else None,
        "ahead": _images(ask, held[1]) if len(held) > 1 else (),
        "last": last,
        "paint_url": painted.address(last.inspection, back="queue") if last is not None and paint else None,
        "counts": ask.ports.reviews.room.counts(ask.who),
        "said": said,
        "fault": fault,
    }
    if ask.request.headers.get(SCRIPTED):
        return piece(ask, "queue_part.html", **values)
    return page(ask, "queue.html", **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """As much of an inspection as its pictures take (`ask_console.Inspected` says what each is)."""

    inspection: str
    part: Any
    model_set: ModelSetV1 | None
    sizes: Mapping[str, tuple[int, int]]
    observed: Sequence[Any]


def _seen(ask: Ask, held: Held) -> Seen:
    part, versions = held.part, ask.ports.reviews.versions
    viewed, models = versions.viewed(part.inspection, part.revision), versions.model_set(part.model_set)
    return Seen(inspection=part.inspection, part=part, model_set=models, sizes=viewed.sizes, observed=viewed.observed)


def _part(ask: Ask, held: Held) -> Shown:
    policy, taxonomy = ask.ports.reviews.rules(held.part)
    found = _seen(ask, held)
    names = {one.id: one.name for one in taxonomy.classes} if taxonomy is not None else {}
    shares = {} if held.blind else _shares(found)
    views = tuple(pictures(ask, found))
    return Shown(
        held=held,
        pictures=tuple(map(_bare, views)) if held.blind else views,
        classes=tuple(_classes(policy, taxonomy, None if held.blind else ask.ports.reviews.measured(held.part), shares)),
        unnamed=tuple(_unnamed(policy)),
        p_value=None if held.blind else held.part.p_value,
        opinions=held.contested,
        likes=() if held.blind else _likes(ask, held, views, names),
    )


def _bare(picture: Picture) -> Picture:
    """Without what a model said of it."""
    return replace(picture, heat_url=None, boxes=(), score=None, p_value=None, threshold=None)


def _images(ask: Ask, held: Held) -> tuple[str, ...]:
    """What the browser fetches while the person still looks at another part."""
    views = pictures(ask, _seen(ask, held))
    images = tuple(one.image_url for one in views if one.kind)
    if held.blind:
        return images
    likes = (one.url for one in _likes(ask, held, views, {}))
    return (*images, *(one.heat_url for one in views if one.heat_url), *likes)


def _likes(ask: Ask, held: Held, views: Sequence[Picture], names: Mapping[str, str]) -> tuple[Like, ...]:
    """Of the strangest view. A help that is away is none that anybody waits for."""
    strangest = min(views, key=lambda one: 1.0 if one.p_value is None else one.p_value, default=None)
    if ask.ports.embeddings is None or strangest is None:
        return ()
    try:
        found = ask.ports.embeddings.similar(held.inspection, strangest.view, MOST_LIKE)
    except Unavailable:
        return ()
    return tuple(
        Like(
            url=f"/inspection/thumbnail?{urlencode({'id': one.inspection, 'view': one.view})}",
            inspection=one.inspection,
            said=names.get(one.label or "", one.label or ("good" if one.answer == "good" else "no name yet")),
            similarity=one.similarity,
        )
        for one in found
    )


def _shares(found: Seen) -> dict[str, float]:
    """Class -> the largest probability that the classifier gives it in a view."""
    shares: dict[str, float] = {}
    for seen in found.observed:
        for name, share in seen.shares.items():
            shares[name] = max(share, shares.get(name, 0.0))
    return shares


def _classes(
    policy: PolicyV1 | None, taxonomy: TaxonomyV1 | None, measured: words.Measured | None, shares: Mapping[str, float]
) -> list[Choice]:
    """In the order of the taxonomy, so that a class keeps its key. measured: None in a blind look, which says no sizes."""
    active = [one for one in taxonomy.classes if one.state == "active"] if taxonomy is not None else []
    found = []
    for n, one in enumerate(active):
        key, share = KEYS[n] if n < len(KEYS) else "", shares.get(one.id)
        fates = (BY_SIZE,) if measured is None and words.sized(one.id, policy) else _fates(one.id, policy, measured or {})
        for i, fate in enumerate(fates):
            first = {"key": key, "share": share} if i == 0 else {"key": ""}
            found.append(Choice(value=f"class:{one.id}:{fate}", name=one.name, fate=fate, **first))
    return found


def _unnamed(policy: PolicyV1 | None) -> list[Choice]:
    """A kind of defect that nobody has named yet."""
    pairs = zip(("n", "⇧ n"), _fates(None, policy, {}), strict=True)
    return [Choice(key=key, value=f"{NEW}:{fate}", name="New kind", fate=fate) for key, fate in pairs]


def _fates(label: str | None, policy: PolicyV1 | None, measured: words.Measured) -> tuple[str, ...]:
    """Where the policy leaves it open: the usual one first, then the other."""
    ruled = words.rule(label, policy, measured)
    if ruled is not None:
        return (ruled,)
    usual = words.usual(label, policy)
    return (usual, *(one for one in words.CHOICES if one != usual))


def _form(ask: Ask) -> Form:
    """Raises Rejected 400."""
    form = ask.form
    what, _, rest = form.get("answer", "").partition(":")
    label, _, fate = rest.rpartition(":")
    answers = {"good": "good", "unsure": "unsure", NEW: "defect", "class": "defect"}
    revision, opinion = _number(form.get("revision", "")), form.get("opinion")
    if what not in answers or revision is None or opinion not in OPINIONS or (what == "class") != bool(label):
        raise Rejected(400, "This answer cannot be read. Nothing was changed: load the page again.")
    return Form(
        inspection=form.get("inspection", ""),
        revision=revision,
        opinion=opinion,
        answer=cast(Answer, answers[what]),
        label=label or None,
        chosen=next((one for one in words.CHOICES if one == fate), None),
        looked_ms=_number(form.get("looked_ms", "")),
        why=form.get("why", "")[:MOST_WHY],
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def _said(form: Form, done: Done) -> str:
    what = {"good": "Good", "unsure": "Unsure", "defect": form.label or "New kind of defect"}[form.answer]
    if done.decided is not None:
        return f"{what}: {_FATES[done.decided]}."
    return f"{what}: somebody else looks at it, too."


def _role(ask: Ask) -> Any:
    assert ask.person is not None
    return ask.person.role
