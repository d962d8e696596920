"""What the console needs of the world, and what it hands to its pages. Adapters plug in here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from schemas.common import ImageRef
from schemas.envelope import Record
from schemas.evidence import InstanceV1
from schemas.label import Answer, LabelV1, Role
from schemas.model_set import ModelSetV1
from schemas.taxonomy import ClassProposalV1, TaxonomyV1
from streams.review.escapes import Escapes
from streams.review.proposal import Hint
from streams.review.queue import Floats
from streams.wiring.console.painting import Masks
from streams.wiring.console.reviews import Reviews


class Person(Protocol):
    """Who asks. csrf: what each form of the session must carry."""

    @property
    def name(self) -> str: ...
    @property
    def role(self) -> Role: ...
    @property
    def csrf(self) -> str: ...


class User(Protocol):
    """ready: a password is set, or the provider knows who it is. at_provider: logs in there. stamp: of what was checked."""

    @property
    def name(self) -> str: ...
    @property
    def role(self) -> Role: ...
    @property
    def disabled(self) -> bool: ...
    @property
    def ready(self) -> bool: ...
    @property
    def at_provider(self) -> bool: ...
    @property
    def stamp(self) -> str: ...


class Link(Protocol):
    """name: whose; None: it makes a new user."""

    @property
    def name(self) -> str | None: ...
    @property
    def role(self) -> Role: ...


class Accounts(Protocol):
    """Changes raise ValueError with a text for the person who asked. All of them raise Unavailable."""

    def users(self) -> Sequence[User]: ...
    def link(self, token: str, now: datetime) -> Link | None: ...
    def use_link(self, token: str, name: str, password: str, now: datetime) -> User: ...
    def check(self, name: str, password: str) -> User | None: ...
    def from_provider(self, subject: str, name: str, role: Role | None, now: datetime) -> User: ...
    def add(self, name: str, role: Role, *, who: str, why: str, now: datetime) -> str: ...
    def add_for_provider(self, name: str, role: Role, *, who: str, why: str, now: datetime) -> None: ...
    def reset(self, name: str, *, who: str, why: str, now: datetime) -> str: ...
    def to_provider(self, name: str, *, who: str, why: str, now: datetime) -> None: ...
    def give_role(self, name: str, role: Role, *, who: str, why: str, now: datetime) -> None: ...
    def disable(self, name: str, *, who: str, why: str, now: datetime) -> None: ...
    def enable(self, name: str, *, who: str, why: str, now: datetime) -> None: ...


class Sessions(Protocol):
    """begin: the token; None: the user is another one than was checked. still: as person, and no request. attempt: None: too
    many have failed; else a number that counts as one more until it is `fitted`. All raise Unavailable.
    """

    def begin(self, user: Any, now: datetime) -> str | None: ...
    def person(self, token: str, now: datetime) -> Person | None: ...
    def still(self, token: str, now: datetime) -> Person | None: ...
    def end(self, token: str) -> None: ...
    def attempt(self, name: str, address: str, now: datetime) -> int | None: ...
    def fitted(self, attempt: int) -> None: ...


class Questions(Protocol):
    """The database that the sink fills; what the answers hold is said there (`ask_console.py`). All raise Unavailable."""

    def lines(self, begin: datetime) -> Any: ...
    def find(self, text: str) -> Sequence[Any]: ...
    def newest(self) -> Sequence[Any]: ...
    def inspected(self, inspection: str) -> Any | None: ...
    def opened(self, beyond: str, most: int) -> Sequence[Any]: ...
    def changed(self, since_us: int, beyond: str, most: int) -> Sequence[Any]: ...
    def seen(self, inspections: Sequence[str]) -> Mapping[str, tuple[float | None, float | None]]: ...
    def newest_us(self) -> int: ...
    def standing(self, inspection: str) -> Any | None: ...
    def image(self, inspection: str, view: str) -> ImageRef | None: ...
    def heat(self, inspection: str, view: str) -> tuple[float, bytes] | None: ...
    def models(self) -> Any: ...
    def members(self, inspections: Sequence[str]) -> Mapping[str, Any]: ...
    def labels_of(self, inspections: Sequence[str]) -> Mapping[str, Sequence[LabelV1]]: ...
    def taxonomy(self, product: str) -> Any | None: ...
    def proposals(self, product: str) -> Sequence[Any]: ...
    def passes(self) -> Sequence[Any]: ...
    def known_answers(self) -> Sequence[Any]: ...
    def several_opinions(self) -> Sequence[Sequence[Any]]: ...
    def audit_fractions(self) -> Mapping[str, Sequence[float]]: ...
    def served(self) -> Mapping[str, Any]: ...
    def labelled(self, product: str) -> Sequence[Any]: ...
    def gathered(self, product: str, groups: Mapping[str, Sequence[tuple[str, str]]]) -> Mapping[str, Any]: ...
    def taxonomy_acts(self, product: str) -> Sequence[Any]: ...


class Taxonomies(Protocol):
    """What was put in force here and is perhaps not stored yet. Changes raise ValueError with a text for the person who asked.

    ahead: the versions after the stored one, in order. decided: proposals accepted or rejected. All raise Unavailable.
    """

    def ahead(self, product: str, stored: str | None) -> Sequence[TaxonomyV1]: ...
    def publish(
        self, versions: Sequence[TaxonomyV1], *, who: str, why: str, now: datetime, accepts: str | None = None
    ) -> str: ...
    def reject(self, product: str, proposal: str, taxonomy: str, *, who: str, why: str, now: datetime) -> None: ...
    def decided(self, product: str) -> frozenset[str]: ...


class ModelSets(Protocol):
    """What an engineer puts in force here. Raises Unavailable."""

    def put_in_force(self, models: ModelSetV1, *, who: str, why: str, now: datetime) -> None: ...


class Unknowns(Protocol):
    """What is unknown now, in clusters (`wiring/grouping.py`). All raise Unavailable.

    now: (the newest clusters, whether some have come or gone since). find: also one of a little while ago.
    """

    def now(self) -> tuple[Any, bool]: ...
    def find(self, id: str) -> Any | None: ...
    def still_unknown(self, inspections: Sequence[str]) -> frozenset[str]: ...


class Namings(Protocol):
    """Clusters that were named here (`desk/namings.py`). Changes raise ValueError with a text for the person who asked.

    drafts: by inspection. said: labels sent from here, by inspection. taken: parts in one that counts. All raise Unavailable.
    """

    def name(self, proposal: ClassProposalV1, cluster: str, drafts: Sequence[LabelV1], now: datetime) -> None: ...
    def apply(self, id: str, label: str, taxonomy: str, labels: Sequence[LabelV1], now: datetime) -> None: ...
    def undo(self, withdrawn: ClassProposalV1, labels: Sequence[LabelV1], why: str, now: datetime) -> None: ...
    def reject(self, id: str) -> None: ...
    def newest(self, most: int = 50) -> Sequence[Any]: ...
    def waiting(self) -> Sequence[Any]: ...
    def find(self, id: str) -> Any | None: ...
    def drafts(self, id: str) -> Mapping[str, LabelV1]: ...
    def said(self, inspections: Sequence[str]) -> Mapping[str, Sequence[LabelV1]]: ...
    def taken(self) -> frozenset[str]: ...


class Thumbnails(Protocol):
    """side_px: of the longer side. of: JPEG. Raises Unprocessable as reading an image does, or as it is none; Unavailable."""

    side_px: int

    def of(self, ref: ImageRef) -> bytes: ...


class Painter(Protocol):
    """Pixels of masks (`wiring/masking.py`). Raises Unprocessable where the bytes are at fault, Unavailable.

    propose: encoded image -> PNG, 8 bits grey, of its size. measure: such a PNG, of this size -> (its regions, the PNG to keep);
    scale: as `masks.scale_of` gives it.
    """

    def propose(self, image: bytes, hint: Hint) -> bytes: ...
    def measure(self, mask: bytes, width: int, height: int, label: str, scale: Any) -> tuple[tuple[InstanceV1, ...], bytes]: ...


class Identity(Protocol):
    @property
    def subject(self) -> str: ...
    @property
    def name(self) -> str: ...


class Provider(Protocol):
    """Of OpenID Connect. finish raises ValueError with a text for the person; both raise Unavailable."""

    issuer: str

    async def begin(self, request: Request, visitor: str, back: str) -> Response: ...
    async def finish(self, request: Request, visitor: str) -> Identity: ...


class Outgoing(Protocol):
    """What waits until Kafka has it. All raise Unavailable."""

    def add(self, records: Sequence[Record], now_us: int) -> None: ...
    def waiting(self) -> int: ...


class Similar(Protocol):
    """A labelled part that looks like the one asked for. similarity: cosine. label: None: unnamed, or good."""

    @property
    def inspection(self) -> str: ...
    @property
    def view(self) -> str: ...
    @property
    def similarity(self) -> float: ...
    @property
    def answer(self) -> Answer: ...
    @property
    def label(self) -> str | None: ...


class Embeddings(Protocol):
    """What the models make of an image, for comparing; in any thread. Empty and None: nothing is known. All raise Unavailable.

    similar: the n labelled parts that are nearest, the nearest first, never the part itself; of its product and trunk alone.
    sketches: of each part's strangest view, unit length, as the queue takes it. novelty: distance of its most novel view to the
    nearest labelled one, 2 where there is none.
    """

    def similar(self, inspection: str, view: str, n: int) -> Sequence[Similar]: ...
    def sketches(self, inspections: Sequence[str]) -> Mapping[str, Floats]: ...
    def novelty(self, inspection: str) -> float | None: ...


@dataclass(frozen=True, kw_only=True)
class Ports:
    """read_image raises Unprocessable (image_gone, ...) and Unavailable. as_png: an image in another format; Unprocessable.

    painter, masks: of the page Mask. keep_file: into the image store -> (its address, SHA-256); Unavailable.
    threshold: (policy, model set, view) -> the score above which that view is anomalous; None: there is none, or it is not known.
    fits: (policy, model set) -> why they can judge nothing together, and what only one of them knows.
    secure: cookies only over HTTPS: everywhere but on loopback. url: how people reach the console. kafka_trouble: None while
    Kafka answers. provider: where people can log in without a password of ours; newcomer: the role of whom only it knows, None:
    an admin adds them first. embeddings: None: they are kept nowhere. escapes: the bounds as computed last. closing: set when
    the process ends, so that streams of events end too.
    """

    questions: Questions
    accounts: Accounts
    sessions: Sessions
    outgoing: Outgoing
    taxonomies: Taxonomies
    model_sets: ModelSets
    fits: Callable[[str, str], tuple[Sequence[str], Sequence[str]]]
    read_image: Callable[[ImageRef], bytes]
    as_png: Callable[[bytes], bytes]
    thumbnails: Thumbnails
    painter: Painter
    masks: Masks
    keep_file: Callable[[bytes], tuple[str, str]]
    unknowns: Unknowns
    namings: Namings
    threshold: Callable[[str | None, str | None, str], float | None]
    kafka_trouble: Callable[[], str | None]
    now: Callable[[], datetime]
    secure: bool
    url: str
    reviews: Reviews
    provider: Provider | None = None
    newcomer: Role | None = None
    embeddings: Embeddings | None = None
    escapes: Callable[[], Mapping[str, Escapes]] = dict
    closing: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request, after everything was checked. person: None only on pages that are open to all. data: the PNG of acts that
    take one.
    """

    ports: Ports
    request: Request
    person: Person | None
    form: Mapping[str, str]
    now: datetime
    data: bytes = b""

    @property
    def who(self) -> str:
        assert self.person is not None
        return self.person.name

    def asked(self, name: str) -> str:
        """A parameter of the address, without white space around it; empty where it is missing."""
        return self.request.query_params.get(name, "").strip()
