"""The console's process: pages for people, over the database that the sink fills and the console's own.

It works on while Kafka is away, and says so; what people did waits in its own database. No rules here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Self

import structlog
import uvicorn

from schemas.common import ImageRef
from streams.capture.image import as_png, thumbnail
from streams.fates import Unavailable
from streams.judgement.rules import mismatch, rules_of, unruled
from streams.settings import Settings
from streams.wiring.adapters.database.ask_console import Questions
from streams.wiring.adapters.database.connection import database_url, open_engine
from streams.wiring.adapters.database.rows import micros
from streams.wiring.adapters.desk.accounts import Accounts
from streams.wiring.adapters.desk.courier import Courier
from streams.wiring.adapters.desk.dockets import Dockets
from streams.wiring.adapters.desk.model_sets import ModelSets
from streams.wiring.adapters.desk.namings import Namings
from streams.wiring.adapters.desk.opening import open_desk
from streams.wiring.adapters.desk.outgoing import Outgoing
from streams.wiring.adapters.desk.sessions import Sessions
from streams.wiring.adapters.desk.taxonomies import Taxonomies
from streams.wiring.adapters.embeddings.follower import Follower
from streams.wiring.adapters.embeddings.intake import Intake
from streams.wiring.adapters.embeddings.similar import Embeddings
from streams.wiring.adapters.embeddings.stands import Stands
from streams.wiring.adapters.embeddings.store import Store as EmbeddingStore
from streams.wiring.adapters.embeddings.tables import open_kept
from streams.wiring.adapters.health import PortTaken
from streams.wiring.adapters.images import FileImages, Images
from streams.wiring.adapters.reach import Reach
from streams.wiring.adapters.thumbnails import Thumbnails
from streams.wiring.clustering import clusters_in_child
from streams.wiring.console.challenges import Challenges
from streams.wiring.console.escapes import Kept
from streams.wiring.console.feed import Feed
from streams.wiring.console.naming import settle
from streams.wiring.console.painting import Masks
from streams.wiring.console.ports import Ports, Provider
from streams.wiring.console.reviews import REVIEWERS, Reviews
from streams.wiring.console.users import link_to
from streams.wiring.console.waiting import Room
from streams.wiring.console.web import application
from streams.wiring.grouping import About, Grouping
from streams.wiring.masking import Masking

log = structlog.get_logger("console")
_TURN_S, _LEAVE_S, _BOUND_S, _SETTLE_S = 1.0, 3, 15.0, 2.0
_BOUND_SHARE = 0.02  # of a core, for the bounds on escapes
_CACHE_KIB = 2 << 10  # of each connection: many threads ask, and each asks little
_BREATH_S, _AWAY_S = 0.02, 5.0  # between two pages of many; while a database is away
_SETTLED, _OVERLAP, _MOST = timedelta(hours=1), timedelta(seconds=10), 20_000
SECOND_SHARE = 0.1  # of the parts get a second look, where there is somebody to give it


class Server(uvicorn.Server):
    """Signals belong to the process's shell."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Console:
    """Ready while the server answers; nothing of Kafka's decides about it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = settings.client()
        self._desk = open_desk(settings.state)
        self._kept = open_kept(settings.state)
        self._engine = open_engine(database_url(settings.database, settings.state), cache_kib=_CACHE_KIB)
        self._questions = Questions(self._engine)
        self._store = EmbeddingStore(self._kept)
        self._embeddings = Embeddings(self._store)
        self._socket = _listening(settings.console_host, settings.console_port)
        self.url = settings.model_copy(update={"console_port": self._socket.getsockname()[1]}).console_address
        self.turned = time.monotonic()
        self._server: Server | None = None
        self._closing: asyncio.Event | None = None
        self._follower: Follower | None = None
        self._escapes = Kept(self._questions)

    async def run(self) -> None:
        """Serve until `stop()`."""
        with ExitStack() as stack:
            images = Images(self._client, roots=[self._settings.images], readers=4)
            stack.callback(images.close)
            outgoing = Outgoing(self._desk)
            reach = stack.enter_context(Reach(self._client))
            stack.enter_context(Courier(self._client, outgoing))
            intake = Intake(self._store, self._embeddings, Stands(self._questions))
            self._follower = stack.enter_context(Follower(self._client, intake))
            painter = Masking()
            stack.callback(painter.close)
            ports = self._ports(images, outgoing, reach, painter)
            feed = Feed(self._questions, ports.reviews.room, self._embeddings)
            keep = timedelta(days=self._settings.database_days)
            stack.enter_context(Following(feed, ports.reviews, Dockets(self._desk), keep))
            self._closing = ports.closing
            self._welcome(ports)
            self._server = Server(server_config(application(ports), self._settings))
            beside = [asyncio.create_task(one) for one in (self._turn(), self._bound(), _settle(ports))]
            try:
                await self._server.serve(sockets=[self._socket])
            finally:
                for task in beside:
                    task.cancel()
                stack.close()
                for engine in (self._engine, self._desk, self._kept):
                    engine.dispose()

    def stop(self) -> None:
        if self._closing is not None:
            self._closing.set()
        if self._server is not None:
            self._server.should_exit = True

    def ready(self) -> bool:
        return self._server is not None and self._server.started and not self._server.should_exit

    def positions(self) -> Mapping[tuple[str, int], int | None]:
        """Of the embeddings; all else the sink reads."""
        return {} if self._follower is None else self._follower.positions()

    async def _turn(self) -> None:
        while True:
            self.turned = time.monotonic()
            await asyncio.sleep(_TURN_S)

    async def _bound(self) -> None:
        """The bounds on escapes, computed anew now and then; while the database is away they stay as they were.

        The more parts and audits are kept, the seldomer: it may cost so much of a core and no more.
        """
        self._escapes.export()
        while True:
            took_s = await asyncio.to_thread(self._bound_now)
            await asyncio.sleep(max(_BOUND_S, took_s / _BOUND_SHARE))

    def _bound_now(self) -> float:
        """CPU seconds that it took."""
        begin = time.thread_time()
        try:
            self._escapes.refresh()
        except Unavailable as error:
            log.warning("the bounds on escapes are as they were", error=str(error))
        return time.thread_time() - begin

    def _ports(self, images: Images, outgoing: Outgoing, reach: Reach, painter: Masking) -> Ports:
        accounts, namings, threshold = Accounts(self._desk), Namings(self._desk), Thresholds(self._questions)
        about = About(questions=self._questions, threshold=threshold)
        dockets = Dockets(self._desk)
        read = readable(images.read_now, lambda: reach.trouble)
        challenges = Challenges(self._questions, dockets, read, self._settings.challenge_share)
        reviews = reviews_of(self._questions, dockets, Taxonomies(self._desk), accounts, challenges)
        return Ports(
            questions=self._questions,
            accounts=accounts,
            sessions=Sessions(self._desk),
            outgoing=outgoing,
            taxonomies=Taxonomies(self._desk),
            model_sets=ModelSets(self._desk),
            fits=fits_with(self._questions),
            embeddings=self._embeddings,
            read_image=images.read_now,
            as_png=as_png,
            thumbnails=Thumbnails(images.read_now, thumbnail),
            painter=painter,
            masks=Masks(self._questions, dockets, reviews, namings.said),
            keep_file=FileImages(self._settings.images).keep,
            unknowns=Grouping(self._store, about, namings.taken, clusters_in_child),
            namings=namings,
            threshold=threshold,
            kafka_trouble=lambda: reach.trouble,
            now=lambda: datetime.now(UTC),
            secure=self.url.startswith("https:") or not _is_loopback(self._settings.console_host),
            url=self.url,
            escapes=self._escapes.found,
            reviews=reviews,
            provider=_provider(self._settings),
            newcomer=self._settings.oidc_newcomer,
        )

    def _welcome(self, ports: Ports) -> None:
        token = Accounts(self._desk).first_link(ports.now())
        log.info("console", url=self.url)
        if token is not None:
            log.info("no user yet: this link makes the first admin; it works once, for 24 hours", link=link_to(self.url, token))


class Following:
    """`with Following(...)` keeps the reviews in step with both databases, in a thread of its own, until it is left."""

    def __init__(self, feed: Feed, reviews: Reviews, dockets: Dockets, keep: timedelta) -> None:
        self._feed, self._reviews, self._dockets = feed, reviews, dockets
        self._keep = keep
        self._stop = threading.Event()
        self._heard: datetime | None = None
        self._thread = threading.Thread(target=self._run, name="reviews", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            now = datetime.now(UTC)
            try:
                self._hear(now)
                self._reviews.challenges.refresh(now)
                wait_s = _BREATH_S if self._feed.turn(now) else _TURN_S
            except Unavailable as error:
                log.warning("a database is away", error=str(error))
                wait_s = _AWAY_S

    def _hear(self, now: datetime) -> None:
        """What was filed here, by this process or another one; at the start everything that is not settled, too."""
        if self._heard is None:
            self._reviews.hear([one.data for one in self._dockets.unsettled()], now)
        since = (self._heard or now - _SETTLED) - _OVERLAP
        self._reviews.hear([one.data for one in self._dockets.since(micros(since), _MOST)], now)
        if self._heard is None or now.date() != self._heard.date():
            self._dockets.forget(micros(now - self._keep))
        self._heard = now


def readable(read: Callable[[ImageRef], bytes], trouble: Callable[[], str | None]) -> Callable[[ImageRef], bytes]:
    """As `read`, without waiting for a Kafka that is known to be away."""

    def read_now(ref: ImageRef) -> bytes:
        if ref.uri.startswith("kafka:") and (said := trouble()) is not None:
            raise Unavailable(f"Kafka does not answer: {said}")
        return read(ref)

    return read_now


def reviews_of(
    questions: Questions, dockets: Dockets, taxonomies: Taxonomies, accounts: Accounts, challenges: Challenges
) -> Reviews:
    """Second looks only where there is somebody to give them."""

    def second_share() -> float:
        able = [user for user in accounts.users() if user.ready and not user.disabled and user.role in REVIEWERS]
        return SECOND_SHARE if len(able) > 1 else 0.0

    return Reviews(questions, dockets, taxonomies, Room(), second_share, challenges)


async def _settle(ports: Ports) -> None:
    """Labels of namings whose class was accepted meanwhile."""
    while True:
        await asyncio.sleep(_SETTLE_S)
        try:
            await asyncio.to_thread(settle, ports, ports.now())
        except Unavailable as error:
            log.debug("not now", error=str(error))


class Thresholds:
    """(policy, model set, view) -> the score above which the view is anomalous; computed once for each pair."""

    def __init__(self, questions: Questions) -> None:
        self._of_pair = lru_cache(maxsize=64)(self._compute)
        self._questions = questions

    def __call__(self, policy: str | None, model_set: str | None, view: str) -> float | None:
        if policy is None or model_set is None:
            return None
        try:
            return self._of_pair(policy, model_set).get(view)
        except KeyError:
            return None

    def _compute(self, policy: str, model_set: str) -> Mapping[str, float]:
        """Raises KeyError while one of them is not in the database: that is not remembered."""
        pair = self._questions.pair(policy, model_set)
        if pair is None:
            raise KeyError(policy)
        return rules_of(*pair).thresholds


def fits_with(questions: Questions) -> Callable[[str, str], tuple[Sequence[str], Sequence[str]]]:
    """For `Ports.fits`; a version that the sink has not stored yet says so."""

    def fits(policy: str, model_set: str) -> tuple[Sequence[str], Sequence[str]]:
        pair = questions.pair(policy, model_set)
        return (["the policy in force is not in the database yet"], []) if pair is None else (mismatch(*pair), unruled(*pair))

    return fits


def server_config(served: Any, settings: Settings) -> uvicorn.Config:
    """served: the application. Where it comes from is taken from a proxy's word only behind one that the settings name."""
    return uvicorn.Config(
        served,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_LEAVE_S,
        limit_concurrency=500,
        h11_max_incomplete_event_size=32 << 10,
        proxy_headers=settings.console_url is not None,
        forwarded_allow_ips=settings.console_proxies,
    )


def _provider(settings: Settings) -> Provider | None:
    if settings.oidc_issuer is None:
        return None
    from streams.wiring.adapters.oidc import Provider as Oidc  # only who has a provider pays for its library

    return Oidc(settings.oidc_issuer, settings.oidc_client, settings.oidc_secret.get_secret_value(), settings.oidc_claim)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=200)
    except OSError as error:
        raise PortTaken(f"{host}:{port} cannot be opened for the console: {error.strerror}; VERDICTLINE_CONSOLE_PORT") from error


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def build(settings: Settings, slot: int) -> Console:
    """The process, not yet serving. Raises ValueError where Kafka is not named; PortTaken; Unavailable; DatabaseIsNewer."""
    try:
        return Console(settings)
    except Unavailable as error:
        raise ValueError(f"the console's own database cannot be opened: {error}") from error
