"""The console over real databases in a folder, and a browser without a screen: it keeps cookies and fills in forms."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from sqlalchemy import Engine
from starlette.responses import Response
from starlette.testclient import TestClient

from schemas.common import ImageRef
from schemas.envelope import Received, from_millis
from schemas.label import Role
from streams.capture.image import as_png, thumbnail
from streams.fates import Unprocessable
from streams.review.clusters import clustered
from streams.wiring import masking
from streams.wiring.adapters.database.ask_console import Questions
from streams.wiring.adapters.database.connection import database_url, open_engine
from streams.wiring.adapters.desk.accounts import Accounts, User
from streams.wiring.adapters.desk.dockets import Dockets
from streams.wiring.adapters.desk.model_sets import ModelSets
from streams.wiring.adapters.desk.namings import Namings
from streams.wiring.adapters.desk.opening import FILE, open_desk
from streams.wiring.adapters.desk.outgoing import Outgoing
from streams.wiring.adapters.desk.sessions import Sessions
from streams.wiring.adapters.desk.taxonomies import Taxonomies
from streams.wiring.adapters.embeddings.similar import Embeddings
from streams.wiring.adapters.embeddings.store import Store as EmbeddingStore
from streams.wiring.adapters.embeddings.tables import open_kept
from streams.wiring.adapters.images import FileImages
from streams.wiring.adapters.thumbnails import Thumbnails
from streams.wiring.console.challenges import Challenges
from streams.wiring.console.escapes import bounds
from streams.wiring.console.feed import Feed
from streams.wiring.console.painting import Masks
from streams.wiring.console.ports import Ports, Provider
from streams.wiring.console.reviews import Reviews
from streams.wiring.console.security import keep_session
from streams.wiring.console.waiting import Room
from streams.wiring.console.web import application
from streams.wiring.grouping import About, Grouping, Pace
from streams.wiring.processors.console import Thresholds, fits_with
from tests.helpers.database import filled_engine
from tests.helpers.evidence_log import T0_MS
from tests.helpers.history import history

URL = "http://127.0.0.1:8750"
PASSWORD = "a quiet line at night"
NOW = from_millis(T0_MS) + timedelta(hours=1)


def no_image(ref: ImageRef) -> bytes:
    raise Unprocessable("image_gone", f"{ref.uri}: nothing is there")


@dataclass
class Desk:
    """A console that is served. now: its clock, to be set. trouble: what Kafka's state is said to be."""

    ports: Ports
    accounts: Accounts
    sessions: Sessions
    outgoing: Outgoing
    engine: Engine
    questions: Questions
    kept: EmbeddingStore
    embeddings: Embeddings
    now: datetime = NOW
    trouble: str | None = None

    def follow(self) -> None:
        """The reviews learn what the database holds."""
        feed = Feed(self.ports.questions, self.ports.reviews.room, self.ports.embeddings)
        while feed.turn(self.now):
            pass
        self.ports.reviews.challenges.refresh(self.now)

    def browser(self) -> Browser:
        return Browser(TestClient(application(self.ports), base_url=URL, follow_redirects=False))

    def user(self, role: Role, name: str | None = None) -> str:
        """A user with a password; the name."""
        return self._user(role, name).name

    def logged_in(self, role: Role, name: str | None = None) -> Browser:
        """In a session that has begun already: the page where one logs in is tried by itself."""
        token = self.sessions.begin(self._user(role, name), self.now)
        assert token
        person = self.sessions.still(token, self.now)
        assert person
        browser = self.browser()
        browser.enter(session_cookie(token, self.ports.secure), person.csrf)
        return browser

    def _user(self, role: Role, name: str | None) -> User:
        mine = name or f"{role}-1"
        token = self.accounts.add(mine, role, who="test", why="a test", now=self.now)
        return self.accounts.use_link(token, mine, PASSWORD, self.now)


class Browser:
    def __init__(self, client: TestClient) -> None:
        self.client = client
        self._token = ("", "")  # the cookies of a session, and what its forms carry

    def enter(self, cookie: tuple[str, str], token: str) -> None:
        """With the cookie of a session; token: what its forms carry."""
        self.client.cookies.set(*cookie)
        self._token = (self._cookies(), token)

    def get(self, path: str, **params: str) -> httpx2.Response:
        return self.client.get(path, params=params or None)

    def post(self, path: str, form: Mapping[str, str] | None = None, *, page: str = "/login", **headers: str) -> httpx2.Response:
        """With the token that a form of that page holds; it is the same in every form of a session."""
        if self._token[0] != self._cookies():
            token = self.csrf(page)
            self._token = (self._cookies(), token)
        return self.client.post(path, data={"csrf": self._token[1], **(form or {})}, headers=headers)

    def _cookies(self) -> str:
        return repr(sorted((one.name, one.value) for one in self.client.cookies.jar))

    def csrf(self, page: str = "/login") -> str:
        response = self.client.get(page)
        if response.status_code == 303:
            response = self.client.get(response.headers["location"], follow_redirects=True)
        found = re.search(r'name="csrf" value="([^"]+)"', response.text)
        assert found, response.text[:2000]
        return unescape(found[1])

    def login(self, name: str, password: str = PASSWORD) -> httpx2.Response:
        return self.post("/login", {"name": name, "password": password})


def session_cookie(token: str, secure: bool) -> tuple[str, str]:
    """Name and value, as the console sets it."""
    response = Response()
    keep_session(response, token, secure)
    name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
    return name, value


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["link"][0]


def fresh_desk(folder: Path) -> Engine:
    """The console's own database: that of a console before, or a new one."""
    if not (folder / FILE).exists():
        (folder / FILE).write_bytes(_desk_file())
    return open_desk(folder)


@cache
def _desk_file() -> bytes:
    with TemporaryDirectory() as folder:
        open_desk(Path(folder)).dispose()
        return (Path(folder) / FILE).read_bytes()


@contextmanager
def console(
    folder: Path,
    records: tuple[Received, ...] | None = None,
    *,
    read_image: Callable[[ImageRef], bytes] = no_image,
    secure: bool = False,
    fill: bool = True,
    provider: Provider | None = None,
    newcomer: Role | None = None,
    second_share: float = 0.0,
    challenge_share: float = 0.0,
) -> Iterator[Desk]:
    """records: what the sink has stored; None: 120 parts of the simulated history. fill: False where a console was before, for
    its databases. second_share: of parts looked at twice; challenge_share: of answers, at most.
    """
    stored = history(120) if records is None else records
    engine = filled_engine(stored, folder) if fill else open_engine(database_url(None, folder))
    desk_engine = fresh_desk(folder)
    questions, accounts, sessions = Questions(engine), Accounts(desk_engine), Sessions(desk_engine)
    outgoing, namings = Outgoing(desk_engine), Namings(desk_engine)
    kept_engine = open_kept(folder)
    kept = EmbeddingStore(kept_engine)
    embeddings = Embeddings(kept)
    about = About(questions=questions, threshold=Thresholds(questions))
    dockets = Dockets(desk_engine)
    challenges = Challenges(questions, dockets, read_image, challenge_share)
    reviews = Reviews(questions, dockets, Taxonomies(desk_engine), Room(), lambda: second_share, challenges)
    made: list[Desk] = []
    ports = Ports(
        questions=questions,
        accounts=accounts,
        sessions=sessions,
        outgoing=outgoing,
        taxonomies=Taxonomies(desk_engine),
        model_sets=ModelSets(desk_engine),
        fits=fits_with(questions),
        embeddings=embeddings,
        read_image=read_image,
        as_png=as_png,
        thumbnails=Thumbnails(read_image, thumbnail),
        painter=masking,  # in this process: its own one is tried by itself
        masks=Masks(questions, dockets, reviews, namings.said),
        keep_file=FileImages(folder / "images").keep,
        unknowns=Grouping(kept, about, namings.taken, clustered, Pace(rest_s=0, patience_s=60)),
        namings=namings,
        threshold=Thresholds(questions),
        kafka_trouble=lambda: made[0].trouble,
        now=lambda: made[0].now,
        secure=secure,
        url=URL,
        escapes=lambda: bounds(questions),
        reviews=reviews,
        provider=provider,
        newcomer=newcomer,
    )
    stores: dict[str, Any] = {"accounts": accounts, "sessions": sessions, "outgoing": outgoing, "kept": kept}
    made.append(Desk(ports=ports, engine=engine, questions=questions, embeddings=embeddings, **stores))
    try:
        yield made[0]
    finally:
        for one in (engine, desk_engine, kept_engine):
            one.dispose()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rows(desk: Desk) -> list[Any]:
    """The records that wait for Kafka."""
    return [record for _, record in desk.outgoing.take(1000)]
