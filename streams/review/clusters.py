"""Unknowns of all lines that look alike: clusters, their doubtful members, and naming a cluster at once or undoing it. Pure.

HDBSCAN (R. Campello, D. Moulavi, J. Sander, PAKDD 2013, LNCS 7819, 160; scikit-learn's) on the first COMPONENTS principal
components of the embeddings, beside size and shape on a logarithmic scale. Chosen on two public sets (docs/review.md), where
sketches of the raw embeddings gave half as many members or mixed clusters. scikit-learn and scipy are loaded when `clustered` is
called, and nowhere else: 25 MB and about a second.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from schemas.label import LabelV1
from schemas.taxonomy import ClassProposalV1
from streams.review.labels import taken_back

Floats = NDArray[np.float64]
MOST = 4000  # the newest ones: 0.6 s of one core
LEAST_MEMBERS = 5
COMPONENTS = 16
_SAMPLES = 3
GEOMETRY_WEIGHT = 0.25
_SAME = 1e-9  # of the largest distance: not apart, but for rounding
FARTHEST = 2.5  # median distances from the centre: what lies beyond only came along, because nothing else was nearer


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """embedding: as the trunk gave it. area_share, elongation (>= 1): of the strange region, if known."""

    inspection: str
    station: str
    at_ms: int
    embedding: NDArray[np.floating]
    area_share: float | None = None
    elongation: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """membership: 0 to 1, how firmly it belongs. margin: 1 - distance to its own centre by that to the nearest other centre."""

    inspection: str
    membership: float
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """id: of its members. members: the firmest first. typical: the member nearest to the centre."""

    id: str
    members: tuple[Member, ...]
    typical: str
    stations: tuple[str, ...]
    newest_ms: int


def clustered(unknowns: Sequence[Unknown], least_members: int = LEAST_MEMBERS, weight: float = GEOMETRY_WEIGHT) -> list[Cluster]:
    """The biggest first, of equal ones the newest. Of more than MOST unknowns the newest count. Who is alone is in none."""
    newest = sorted(unknowns, key=lambda one: (-one.at_ms, one.inspection))[:MOST]
    if len(newest) < 2 * least_members:
        return []
    from sklearn.cluster import HDBSCAN
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # several threads only wait for each other on a busy machine
        points = positions(newest, weight)
    model = HDBSCAN(min_cluster_size=least_members, min_samples=_SAMPLES, copy=True).fit(points)
    if model.labels_.max() < 0:  # nothing differs from anything: perhaps all are of one kind
        model = HDBSCAN(min_cluster_size=least_members, min_samples=_SAMPLES, allow_single_cluster=True, copy=True).fit(points)
    labels = _without_hangers_on(points, model.labels_, least_members)
    return clusters_of(newest, points, labels, model.probabilities_)


def clusters_of(unknowns: Sequence[Unknown], points: Floats, labels: NDArray[np.intp], memberships: Floats) -> list[Cluster]:
    """From a clustering, whoever made it. labels: -1 for those alone."""
    names = sorted(set(labels.tolist()) - {-1})
    centres = np.array([points[labels == name].mean(axis=0) for name in names])
    found = [_cluster(unknowns, points, np.flatnonzero(labels == name), memberships, centres, i) for i, name in enumerate(names)]
    return sorted(found, key=lambda one: (-len(one.members), -one.newest_ms, one.id))


def borderline(cluster: Cluster, n: int) -> list[str]:
    """The n to look at before the cluster is named: least firm, or nearest to another, in turns; ties by id."""
    weak = sorted(cluster.members, key=lambda one: (one.membership, one.inspection))
    near = sorted(cluster.members, key=lambda one: (one.margin, one.inspection))
    turns = (one.inspection for pair in zip(weak, near, strict=True) for one in pair)
    return list(dict.fromkeys(turns))[:n]


def to_look_at(cluster: Cluster) -> int:
    """How many borderline members have to be looked at: a tenth, at least 3, at most 20."""
    return min(len(cluster.members), max(3, min(20, math.ceil(len(cluster.members) / 10))))


def applied(proposal: ClassProposalV1, label: str, taxonomy: str, drafts: Mapping[str, LabelV1], at: datetime) -> list[LabelV1]:
    """A label for every member. drafts: by inspection, what the proposer would say of the part, with image, station and role.

    taxonomy: the version that has this class. Members that were looked at keep their time. Raises ValueError for a member
    without a draft, and where the draft is another person's.
    """
    if missing := [member for member in proposal.members if member not in drafts]:
        raise ValueError(f"{len(missing)} members have no draft, {missing[0]} is the first")
    looked = set(proposal.borderline)
    return [_applied(proposal, drafts[member], label, taxonomy, member in looked, at) for member in sorted(proposal.members)]


def undone(proposal: ClassProposalV1, standing: Iterable[LabelV1], at: datetime) -> tuple[ClassProposalV1, list[LabelV1]]:
    """The proposal as withdrawn, and what takes back its labels that still stand. What was answered since, stays."""
    own = [one for one in standing if one.proposal == proposal.id and one.who == proposal.who]
    extra = {"answered_at": at, "looked_ms": 0}
    return proposal.model_copy(update={"withdrawn": True}), [taken_back(one, proposal.who, **extra) for one in own]


def positions(unknowns: Sequence[Unknown], weight: float) -> Floats:
    """(n, COMPONENTS + 2 at most): principal components scaled to a root mean square distance of 1, then weight x log2 of area
    share and of elongation, each less its middle value. An unknown region has the middle one, so it is no reason for a distance.
    """
    embeddings = np.array([one.embedding for one in unknowns], np.float64)
    deviation = embeddings.std(axis=0)
    scaled = (embeddings - embeddings.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)
    components = _components(scaled - scaled.mean(axis=0))
    spread = math.sqrt(2 * float(components.var(axis=0).sum())) or 1.0
    sizes = _logarithms([one.area_share for one in unknowns])
    shapes = _logarithms([one.elongation for one in unknowns])
    return np.column_stack([components / spread, weight * sizes, weight * shapes])


def _components(centred: Floats) -> Floats:
    """The rows in the directions of most variance, the largest first."""
    from scipy.linalg import eigh

    last = centred.shape[1] - 1
    _, directions = eigh(centred.T @ centred, subset_by_index=[max(0, last + 1 - COMPONENTS), last])
    return np.asarray(centred @ directions[:, ::-1], np.float64)


def _without_hangers_on(points: Floats, labels: NDArray[np.intp], least_members: int) -> NDArray[np.intp]:
    """-1 for those too far from their centre, and for the rest of a cluster that is too small then.

    Copies of one image lie on each other, perhaps in the very centre: the middle distance is that of those who do not.
    """
    found = labels.copy()
    for name in set(labels.tolist()) - {-1}:
        rows = np.flatnonzero(labels == name)
        away = np.linalg.norm(points[rows] - np.median(points[rows], axis=0), axis=1)
        apart = away[away > _SAME * (away.max(initial=0) or 1)]
        if len(apart):
            found[rows[away > FARTHEST * np.median(apart)]] = -1
        if np.count_nonzero(found == name) < least_members:
            found[rows] = -1
    return found


def _logarithms(values: Sequence[float | None]) -> Floats:
    known = [math.log2(value) for value in values if value]
    middle = float(np.median(known)) if known else 0.0
    return np.array([math.log2(value) - middle if value else 0.0 for value in values])


def _cluster(
    unknowns: Sequence[Unknown], points: Floats, rows: NDArray[np.intp], memberships: Floats, centres: Floats, own: int
) -> Cluster:
    away = np.linalg.norm(points[rows][:, None] - centres[None], axis=2)
    others = np.delete(away, own, axis=1).min(axis=1, initial=np.inf)
    margins = 1 - away[:, own] / np.maximum(others, 1e-12)
    members = [
        Member(inspection=unknowns[i].inspection, membership=float(memberships[i]), margin=float(margin))
        for i, margin in zip(rows, margins, strict=True)
    ]
    ids = sorted(one.inspection for one in members)
    return Cluster(
        id=hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16],
        members=tuple(sorted(members, key=lambda one: (-one.membership, one.inspection))),
        typical=unknowns[rows[away[:, own].argmin()]].inspection,
        stations=tuple(sorted({unknowns[i].station for i in rows})),
        newest_ms=max(unknowns[i].at_ms for i in rows),
    )


def _applied(proposal: ClassProposalV1, draft: LabelV1, label: str, taxonomy: str, looked: bool, at: datetime) -> LabelV1:
    if draft.who != proposal.who:
        raise ValueError(f"{proposal.who} named the cluster, the draft of {draft.inspection} is by {draft.who}")
    said = {"answer": "defect", "label": label, "taxonomy": taxonomy, "shown": "cluster", "proposal": proposal.id}
    plain = {"audit_probability": None, "why": proposal.why, "answered_at": at}
    looked_ms = {} if looked else {"looked_ms": 0}
    return LabelV1.model_validate(draft.model_copy(update={**said, **plain, **looked_ms}).model_dump())
