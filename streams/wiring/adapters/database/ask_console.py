"""What the console asks: each question on one snapshot of its own. Reads; judges nothing.

`Questions` may be asked from any thread. While there is no database yet, or one of another schema, every question raises
Unavailable with what to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select, text

from schemas.baseline import BaselineStateV1
from schemas.challenge import StationProofV1
from schemas.common import ImageRef
from schemas.ids import parse_inspection
from schemas.label import LabelV1
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from streams.fates import Unavailable
from streams.wiring.adapters.database import ask_classes, ask_escapes, ask_known, ask_open, ask_reviewers
from streams.wiring.adapters.database import tables as t
from streams.wiring.adapters.database.ask_baselines import baselines_in_use
from streams.wiring.adapters.database.ask_monitors import Act, acts, model_sets, proofs
from streams.wiring.adapters.database.ask_parts import Count, Part, counts, part, part_of, time_of
from streams.wiring.adapters.database.ask_standing import (
    Member,
    Standing,
    Word,
    clock_us,
    labels_of,
    members,
    standings,
    words_since,
)
from streams.wiring.adapters.database.connection import reading
from streams.wiring.adapters.database.heat import unpack_heat
from streams.wiring.adapters.database.migrate import schema
from streams.wiring.adapters.database.scope import Scope

MOST_FOUND = 200
_SHOWN = ("model_set", "policy")
_E = t.EVIDENCE.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """All stations since `begin`: counts of production parts; the newest verdict of each; how many wait for a person."""

    counts: tuple[Count, ...]
    last_at: Mapping[str, datetime]
    open_reviews: Mapping[str, int]
    baselines: tuple[BaselineStateV1, ...]
    proofs: tuple[StationProofV1, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one model said of one view. shares: class -> probability; instances: as InstanceV1's fields."""

    view: str
    stage: str
    model_set: str
    model: str
    score: float | None
    p_value: float | None
    label: str | None
    probability: float | None
    shares: Mapping[str, float]
    instances: tuple[Mapping[str, Any], ...]
    at: datetime
    image: ImageRef | None
    heat: tuple[float, bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed:
    """sizes: view -> (width, height) in px, as announced. observed: in the order of the log."""

    sizes: Mapping[str, tuple[int, int]]
    observed: tuple[Observed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One revision of the verdict. reasons: mappings of code, view, stage, detail."""

    revision: int
    disposition: str
    label: str | None
    decided_by: str
    who: str | None
    late: bool
    reasons: tuple[Mapping[str, str], ...]
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """Everything known of one inspection. part: None while there is no verdict. sizes: view -> (width, height) in px.

    failed, reviews, labels: the rows as mappings, with `at`. others: further visits of the same serial.
    """

    inspection: str
    part: Part | None
    announced_at: datetime | None
    views_expected: int | None
    sizes: Mapping[str, tuple[int, int]]
    observed: tuple[Observed, ...]
    failed: tuple[Mapping[str, Any], ...]
    revisions: tuple[Revision, ...]
    reviews: tuple[Mapping[str, Any], ...]
    labels: tuple[Mapping[str, Any], ...]
    others: tuple[Part, ...] = ()
    model_set: ModelSetV1 | None = None
    policy_title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A pointer: which version of what is in force where, who said so and why. set: of a model set."""

    kind: str
    place: str
    digest: str
    who: str
    why: str
    at: datetime
    model_set: ModelSetV1 | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    in_force: tuple[InForce, ...]
    versions: Mapping[str, ModelSetV1]
    acts: tuple[Act, ...] = field(default=())


class Questions:
    """engine: of the sink's database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._checked = False

    def lines(self, begin: datetime) -> Lines:
        scope = Scope(begin=begin)
        with self._asking() as connection:
            return Lines(
                counts=counts(connection, scope),
                last_at=_last_verdicts(connection),
                open_reviews=_open_reviews(connection),
                baselines=baselines_in_use(connection),
                proofs=proofs(connection, Scope()),
            )

    def find(self, text: str) -> tuple[Part, ...]:
        """Of that inspection id, serial or lot, the newest first; at most 200."""
        with self._asking() as connection:
            if (one := part(connection, text)) is not None:
                return (one,)
            either = (t.INSPECTIONS.c.serial == text) | (t.INSPECTIONS.c.lot == text)
            return _newest(connection, either)

    def newest(self) -> tuple[Part, ...]:
        with self._asking() as connection:
            return _newest(connection, t.INSPECTIONS.c.at_us > 0, 20)

    def inspected(self, inspection: str) -> Inspected | None:
        try:
            parse_inspection(inspection)
        except ValueError:
            return None
        with self._asking() as connection:
            found = _inspected(connection, inspection)
        return found if found.part or found.announced_at or found.observed or found.failed else None

    def image(self, inspection: str, view: str) -> ImageRef | None:
        """Where the image of that view lies, as the evidence says."""
        query = select(_E.image).where(_E.inspection == inspection, _E.view == view, _E.image.is_not(None))
        with self._asking() as connection:
            found = connection.execute(query.order_by(_E.log_offset).limit(1)).scalar_one_or_none()
        return None if found is None else ImageRef.model_validate_json(found)

    def heat(self, inspection: str, view: str) -> tuple[float, bytes] | None:
        """(value of step 255, 32 x 32 steps row by row)."""
        query = select(_E.heat).where(_E.inspection == inspection, _E.view == view, _E.heat.is_not(None))
        with self._asking() as connection:
            found = connection.execute(query.order_by(_E.log_offset).limit(1)).scalar_one_or_none()
        return None if found is None else unpack_heat(found)

    def pair(self, policy: str, model_set: str) -> tuple[PolicyV1, ModelSetV1] | None:
        """The versions with these digests; None: one of them is not known."""
        p, m = t.POLICIES.c, t.MODEL_SETS.c
        with self._asking() as connection:
            rules = connection.execute(select(p.data).where(p.digest == policy)).scalar_one_or_none()
            models = connection.execute(select(m.data).where(m.digest == model_set)).scalar_one_or_none()
        if rules is None or models is None:
            return None
        return PolicyV1.read(rules.encode()), ModelSetV1.read(models.encode())

    def policy(self, digest: str) -> PolicyV1 | None:
        c = t.POLICIES.c
        with self._asking() as connection:
            found = connection.execute(select(c.data).where(c.digest == digest)).scalar_one_or_none()
        return None if found is None else PolicyV1.read(found.encode())

    def model_set(self, digest: str) -> ModelSetV1 | None:
        c = t.MODEL_SETS.c
        with self._asking() as connection:
            found = connection.execute(select(c.data).where(c.digest == digest)).scalar_one_or_none()
        return None if found is None else ModelSetV1.read(found.encode())

    def opened(self, beyond: str, most: int) -> Sequence[ask_open.Glimpse]:
        """A page of the parts that wait for a person."""
        with self._asking() as connection:
            return ask_open.opened(connection, beyond, most)

    def changed(self, since_us: int, beyond: str, most: int) -> Sequence[ask_open.Glimpse]:
        """A page of what was decided since then."""
        with self._asking() as connection:
            return ask_open.changed(connection, since_us, beyond, most)

    def seen(self, inspections: Sequence[str]) -> Mapping[str, ask_open.Seen]:
        """How strange they are, and how unsure the classifier is."""
        with self._asking() as connection:
            return ask_open.seen(connection, inspections)

    def newest_us(self) -> int:
        with self._asking() as connection:
            return ask_open.newest_us(connection)

    def standing(self, inspection: str) -> ask_open.Standing | None:
        with self._asking() as connection:
            return ask_open.standing(connection, inspection)

    def viewed(self, inspection: str) -> Viewed:
        """Its views and what the models saw of them."""
        with self._asking() as connection:
            views = connection.execute(
                select(t.ANNOUNCED.c.views).where(t.ANNOUNCED.c.inspection == inspection)
            ).scalar_one_or_none()
            rows = _of(connection, t.EVIDENCE, inspection)
        return Viewed(sizes=_sizes(views), observed=tuple(map(_observed, rows)))

    def models(self) -> Models:
        with self._asking() as connection:
            versions = model_sets(connection)
            titles = {row.digest: row.title for row in connection.execute(select(t.POLICIES.c.digest, t.POLICIES.c.title))}
            c = t.IN_FORCE.c
            rows = connection.execute(select(t.IN_FORCE).where(c.kind.in_(_SHOWN)).order_by(c.kind, c.place)).all()
            return Models(
                in_force=tuple(_in_force(row, versions, titles) for row in rows),
                versions=versions,
                acts=acts(connection, Scope()),
            )

    def taxonomy(self, product: str) -> ask_classes.Taxonomy | None:
        """The classes in force, and the versions before. None: nobody has written them down yet."""
        with self._asking() as connection:
            return ask_classes.taxonomy(connection, product)

    def served(self) -> Mapping[str, ask_classes.Served]:
        """Products with something in force, and the classes that their models and policies know."""
        with self._asking() as connection:
            return ask_classes.served(connection)

    def labelled(self, product: str) -> tuple[ask_classes.Labelled, ...]:
        """Standing labels, by what they say."""
        with self._asking() as connection:
            return ask_classes.labelled(connection, product)

    def gathered(self, product: str, groups: Mapping[str, Sequence[ask_classes.Pair]]) -> Mapping[str, ask_classes.Gathered]:
        """Standing labels of classes as they are today. groups: name -> (class, version) pairs that have become it."""
        with self._asking() as connection:
            return ask_classes.gathered(connection, product, groups)

    def taxonomy_acts(self, product: str) -> tuple[Act, ...]:
        """Who changed the classes of the product, and decided about proposed ones; the newest first."""
        with self._asking() as connection:
            return ask_classes.acts(connection, product)

    def known_parts(self, begin: datetime, now: datetime) -> tuple[ask_known.KnownPart, ...]:
        """Challenge parts that cannot be told from production, of sets that were closed since `begin`."""
        with self._asking() as connection:
            return ask_known.known_parts(connection, begin, now)

    def known_answers(self) -> tuple[ask_reviewers.Known, ...]:
        """What people said of challenge parts."""
        with self._asking() as connection:
            return ask_reviewers.known(connection)

    def several_opinions(self) -> tuple[tuple[ask_reviewers.Opinion, ...], ...]:
        """What people said of parts that several looked at."""
        with self._asking() as connection:
            return ask_reviewers.several(connection)

    def passes(self) -> tuple[ask_escapes.Passes, ...]:
        """What the bound on escapes rests on, by product, probability of an audit, and hour."""
        with self._asking() as connection:
            return ask_escapes.passes(connection)

    def audit_fractions(self) -> Mapping[str, tuple[float, ...]]:
        """Product -> `audit_fraction` of each of its policies, in the order in which they were published."""
        with self._asking() as connection:
            return ask_escapes.audit_fractions(connection)

    def proposals(self, product: str) -> tuple[ask_classes.Proposal, ...]:
        """Classes that clusters of unknowns would be, the newest first, and what became of them."""
        with self._asking() as connection:
            return ask_classes.proposals(connection, product)

    def standings(self, inspections: Sequence[str]) -> tuple[Mapping[str, Standing], int]:
        """(of those with a verdict or a label; how far the sink has come, microseconds since 1970)."""
        with self._asking() as connection:
            return standings(connection, inspections), clock_us(connection)

    def words(self, since_us: int) -> set[Word]:
        """What people said since then: (inspection, which word of it, when)."""
        with self._asking() as connection:
            return words_since(connection, since_us)

    def members(self, inspections: Sequence[str]) -> Mapping[str, Member]:
        """What labels of these parts would repeat; of those with a verdict."""
        with self._asking() as connection:
            return members(connection, inspections)

    def labels_of(self, inspections: Sequence[str]) -> Mapping[str, Sequence[LabelV1]]:
        """Every label of these parts, in the log's order."""
        with self._asking() as connection:
            return labels_of(connection, inspections)

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        if not self._checked:
            self._check()
        with reading(self._engine) as connection:
            yield connection

    def _check(self) -> None:
        url = self._engine.url
        if url.drivername == "sqlite" and not Path(str(url.database)).is_file():
            raise Unavailable("there is no database yet: `verdictline run sink` makes and fills it")
        found = schema(self._engine)
        if not found.up_to_date:
            raise Unavailable(f"the database has schema {found.current or 'none'}, this program has {found.head}")
        self._checked = True


def _last_verdicts(connection: Connection) -> dict[str, datetime]:
    c = t.INSPECTIONS.c
    rows = connection.execute(select(c.station, func.max(c.decided_us)).group_by(c.station))
    return {station: time_of(last) for station, last in rows}


def _open_reviews(connection: Connection) -> dict[str, int]:
    c = t.INSPECTIONS.c
    mine = (text(t.OPEN), c.disposition == "review", c.purpose != "challenge")
    query = select(c.station, func.count()).where(*mine).group_by(c.station)
    return {station: n for station, n in connection.execute(query)}


def _newest(connection: Connection, condition: Any, most: int = MOST_FOUND) -> tuple[Part, ...]:
    c = t.INSPECTIONS.c
    query = select(t.INSPECTIONS).where(condition).order_by(c.at_us.desc(), c.inspection).limit(most)
    return tuple(part_of(row) for row in connection.execute(query))


def _inspected(connection: Connection, inspection: str) -> Inspected:
    hello = connection.execute(select(t.ANNOUNCED).where(t.ANNOUNCED.c.inspection == inspection)).first()
    found = part(connection, inspection)
    serial = found.serial if found else (hello.serial if hello else None)
    others = _newest(connection, t.INSPECTIONS.c.serial == serial) if serial else ()
    models, policy = _versions(connection, found, hello)
    return Inspected(
        inspection=inspection,
        part=found,
        announced_at=time_of(hello.announced_us) if hello else None,
        views_expected=hello.views_expected if hello else None,
        sizes=_sizes(hello.views if hello else None),
        observed=tuple(_observed(row) for row in _of(connection, t.EVIDENCE, inspection)),
        failed=tuple(_timed(row) for row in _of(connection, t.FAILED, inspection)),
        revisions=tuple(_revision(row) for row in _of(connection, t.REVISIONS, inspection, "revision")),
        reviews=tuple(_timed(row) for row in _of(connection, t.REVIEWS, inspection)),
        labels=tuple(_timed(row) for row in _of(connection, t.LABELS, inspection)),
        others=tuple(one for one in others if one.inspection != inspection),
        model_set=models,
        policy_title=policy,
    )


def _sizes(views: str | None) -> dict[str, tuple[int, int]]:
    return {view: (size[0], size[1]) for view, size in json.loads(views or "{}").items()}


def _versions(connection: Connection, found: Part | None, hello: Any) -> tuple[ModelSetV1 | None, str | None]:
    models = found.model_set if found else getattr(hello, "model_set", None)
    policy = found.policy if found else getattr(hello, "policy", None)
    data = connection.execute(select(t.MODEL_SETS.c.data).where(t.MODEL_SETS.c.digest == models)).scalar_one_or_none()
    title = connection.execute(select(t.POLICIES.c.title).where(t.POLICIES.c.digest == policy)).scalar_one_or_none()
    return None if data is None else ModelSetV1.read(data.encode()), title


def _of(connection: Connection, table: Any, inspection: str, order: str = "log_offset") -> list[Row[Any]]:
    return list(connection.execute(select(table).where(table.c.inspection == inspection).order_by(table.c[order])).all())


def _observed(row: Any) -> Observed:
    return Observed(
        **{name: getattr(row, name) for name in _COPIED},
        shares=json.loads(row.probabilities or "{}"),
        instances=tuple(json.loads(row.instances or "[]")),
        at=time_of(row.at_us),
        image=None if row.image is None else ImageRef.model_validate_json(row.image),
        heat=None if row.heat is None else unpack_heat(row.heat),
    )


_COPIED = ("view", "stage", "model_set", "model", "score", "p_value", "label", "probability")


def _revision(row: Any) -> Revision:
    copied = ("revision", "disposition", "label", "decided_by", "who", "late")
    return Revision(
        **{name: getattr(row, name) for name in copied},
        reasons=tuple(json.loads(row.reasons)),
        decided_at=time_of(row.decided_us),
    )


def _timed(row: Row[Any]) -> dict[str, Any]:
    return {**row._mapping, "at": time_of(row.at_us)}


def _in_force(row: Any, versions: Mapping[str, ModelSetV1], titles: Mapping[str, str]) -> InForce:
    copied = ("kind", "place", "digest", "who", "why")
    return InForce(
        **{name: getattr(row, name) for name in copied},
        at=time_of(row.at_us),
        model_set=versions.get(row.digest),
        title=titles.get(row.digest),
    )
