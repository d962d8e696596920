"""spc.v1: subgroup facts, limits with their provenance, signals; and what people say of them. Key: the station.

Facts and limits are separate messages, so that any SPC system can compute limits of its own from the facts.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.challenge import Clock
from schemas.common import BaselineState, Message, Text, Time
from schemas.ids import Digest, Inspection, Name, Station

SubgroupId = Annotated[str, StringConstraints(min_length=1, max_length=400)]
LimitsId = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Count = Annotated[int, Field(ge=0)]
Chart = Literal["p", "np", "laney_p", "c", "u", "laney_u", "g", "t", "i_mr", "xbar_s"]
RuleSet = Literal["nelson_1", "nelson_1_2", "nelson_1_2_3", "nelson_1_2_3_4", "weco_1_2", "probability", "zone"]
Quantity = Literal["length", "width", "area", "distance", "count"]


class SubgroupRuleV1(Message):
    """When a subgroup is full: whichever comes first of so many judged parts, a boundary of local time, another lot.

    every_s: boundaries lie at whole multiples after local midnight in `zone`. shifts: further boundaries, local times of day.
    grace_s: how long after its end, in the station's own time, late parts are waited for.
    """

    n: int | None = Field(default=None, ge=1)
    every_s: int | None = Field(default=None, ge=1, le=86_400)
    shifts: tuple[Clock, ...] = ()
    zone: Text = "UTC"
    lot: bool = False
    grace_s: float = Field(default=10, ge=0, le=3600)

    @model_validator(mode="after")
    def ends_some_day(self) -> SubgroupRuleV1:
        if self.n is None and self.every_s is None and not self.shifts and not self.lot:
            raise ValueError("a subgroup needs an end: give n, every_s, shifts or lot")
        return self


class CharacteristicV1(Message):
    """What is charted. of: `nonconforming` parts (rework + scrap), parts of one `class`, `defects` (instances of a class, or of
    all), or a `measurement` of the instances (the largest of a part, the smallest distance, or their number).

    lower, upper, target: specification, in the unit of the quantity (mm, mm2, 1), for capability. trial_n: so many subgroups
    make trial limits.
    """

    name: Name
    of: Literal["nonconforming", "class", "defects", "measurement"]
    label: Name | None = None
    quantity: Quantity | None = None
    chart: Chart
    rule_set: RuleSet = "nelson_1_2"
    k_sigma: float = Field(default=3, gt=0, le=6)
    trial_n: int = Field(default=25, ge=5, le=500)
    lower: float | None = None
    upper: float | None = None
    target: float | None = None

    @model_validator(mode="after")
    def chart_fits(self) -> CharacteristicV1:
        fits = {
            "nonconforming": ("p", "np", "laney_p", "g", "t"),
            "class": ("p", "np", "laney_p"),
            "defects": ("c", "u", "laney_u"),
            "measurement": ("i_mr", "xbar_s"),
        }
        if self.chart not in fits[self.of]:
            raise ValueError(f"chart {self.chart!r} does not show {self.of}: take one of {', '.join(fits[self.of])}")
        if self.rule_set == "zone" and self.of != "measurement":
            raise ValueError("zone rules take symmetry for granted, which counts do not have: take nelson_1_2")
        if self.of == "class" and self.label is None:
            raise ValueError("a class needs its label")
        if (self.of == "measurement") != (self.quantity is not None):
            raise ValueError("a quantity belongs to a measurement, and only there")
        return self


class SeriesV1(Message):
    """One way to cut a station's parts into subgroups, and what is charted of them."""

    series: Name
    rule: SubgroupRuleV1
    characteristics: tuple[CharacteristicV1, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def names_are_unique(self) -> SeriesV1:
        names = [one.name for one in self.characteristics]
        if len(set(names)) != len(names):
            raise ValueError("two characteristics have one name")
        return self


class PlanV1(Message):
    """What is charted of a product at a station. Engineers -> spc. The last word counts; without one there is a default."""

    TYPE = "verdictline.spc.plan.v1"
    station: Station
    product: Name
    series: tuple[SeriesV1, ...] = Field(min_length=1, max_length=20)
    who: Text
    why: Text
    at: Time


class LimitsActV1(Message):
    """A person's word on limits. Engineers -> spc.

    freeze: phase I is over, the limits in force stand until a stage break or another act; remove: these subgroups have a known
    cause and do not count in the limits; recompute: make trial limits anew from the subgroups of this stage.
    """

    TYPE = "verdictline.spc.act.v1"
    station: Station
    product: Name
    series: Name
    characteristic: Name
    act: Literal["freeze", "remove", "recompute"]
    subgroups: tuple[SubgroupId, ...] = Field(default=(), max_length=500)
    who: Text
    why: Text
    at: Time


class StageV1(Message):
    """Everything that is software or set-up: when one of these changes, a jump of a chart need not come from the process."""

    policy: Digest | None = None
    model_set: Digest | None = None
    baseline: dict[Name, Digest] = Field(default_factory=dict)
    acquisition: Digest | None = None
    calibration: dict[Name, Digest] = Field(default_factory=dict)


class StageBreakV1(Message):
    """From this part on another stage. Spc -> wall, SPC. changed: names of the fields of the stage, or `plan`.

    carried: limits that stay visible and are not comparable.
    """

    TYPE = "verdictline.spc.stage.v1"
    station: Station
    product: Name
    series: Name
    stage_id: Name
    previous: Name | None = None
    stage: StageV1
    changed: tuple[Name, ...]
    first: Inspection
    carried: tuple[LimitsId, ...] = ()
    at: Time


class MeasuredV1(Message):
    """A measurement's facts. n parts that had a value; sd absent below two. values: in order, where they are few."""

    name: Name
    unit: Literal["mm", "mm2", "1"]
    n: Count
    mean: float | None = None
    sd: float | None = Field(default=None, ge=0)
    low: float | None = None
    high: float | None = None
    values: tuple[float, ...] = Field(default=(), max_length=25)


class SubgroupV1(Message):
    """Facts of one subgroup, purpose production only. Spc -> any SPC system.

    n = pass + rework + scrap; nonconforming = rework + scrap; counts: also review (pending) and no_verdict (neither).
    excluded: parts of other purposes in the same stretch. defects: parts by class of the verdict, among those not passed, with
    `unknown` and `unreviewed` always there. instances: measured defects by class. units: parts at which instances can be
    counted. gaps: good parts before each nonconforming one, for charts of rare events, newest last; gap_s: seconds
    between them, where known; open_gap: good parts since then.
    epoch, first_n, last_n: of the parts in it. start, end: first and last time of capture. revision: the highest counts; why:
    what made this one. closed_by `sequence`: the station's numbers began anew. unplaced: verdicts since the subgroup before
    whose own subgroup is too old to be changed. A part counts with the instances and measurements of its first verdict.
    """

    TYPE = "verdictline.spc.subgroup.v1"
    subgroup_id: SubgroupId
    revision: int = Field(ge=0)
    station: Station
    product: Name
    lot: Text | None = None
    series: Name
    stage_id: Name
    stage: StageV1
    closed_by: Literal["count", "time", "lot", "stage", "sequence"]
    start: Time
    end: Time
    epoch: int = Field(ge=0)
    first_n: int = Field(ge=0)
    last_n: int = Field(ge=0)
    n: Count
    nonconforming: Count
    counts: dict[Literal["pass", "rework", "scrap", "review", "no_verdict"], Count]
    excluded: dict[Name, Count] = Field(default_factory=dict)
    defects: dict[Name, Count] = Field(default_factory=dict)
    instances: dict[Name, Count] = Field(default_factory=dict)
    units: Count = 0
    gaps: tuple[Count, ...] = Field(default=(), max_length=200)
    gap_s: tuple[float, ...] = Field(default=(), max_length=200)
    open_gap: Count | None = None
    characteristics: tuple[MeasuredV1, ...] = ()
    baseline_state: BaselineState | None = None
    unplaced: Count = 0
    why: Annotated[str, StringConstraints(max_length=300)] = ""

    @model_validator(mode="after")
    def counts_add_up(self) -> SubgroupV1:
        judged = {name: self.counts.get(name, 0) for name in ("pass", "rework", "scrap")}
        if sum(judged.values()) != self.n:
            raise ValueError("n is pass + rework + scrap")
        if judged["rework"] + judged["scrap"] != self.nonconforming:
            raise ValueError("nonconforming is rework + scrap")
        return self


class LimitsAtV1(Message):
    """Limits for one size of subgroup. plain_*: without overdispersion."""

    n: float = Field(gt=0)
    lcl: float
    ucl: float
    plain_lcl: float
    plain_ucl: float


class RemovedV1(Message):
    subgroup_id: SubgroupId
    reason: Text


class ProvenanceV1(Message):
    """Where limits come from. subgroups: used; the first and the last where they are more than 500. n: how many."""

    subgroups: tuple[SubgroupId, ...] = Field(max_length=500)
    n: int = Field(ge=0)
    removed: tuple[RemovedV1, ...] = ()
    method: Name
    constants: dict[Name, float] = Field(default_factory=dict)
    approved_by: Text | None = None
    why: Text | None = None
    at: Time


class LimitsV1(Message):
    """Limits of one characteristic in one stage. Spc -> any SPC system.

    center: of the charted statistic. sigma: of one part or value, where the chart has one. sigma_z: of Laney's charts, from
    sigma_z_subgroups. at_n: for the sizes seen so far. arl0_subgroups: mean number of subgroups between two false signals of this
    rule set on this chart, computed. spread_*: of the chart of scatter beside a chart of measurements (moving range, or standard
    deviation at the largest size seen); its rule is `spread_1`, beyond its limits. carried: of an earlier stage, still visible,
    not comparable.
    """

    TYPE = "verdictline.spc.limits.v1"
    limits_id: LimitsId
    station: Station
    product: Name
    series: Name
    stage_id: Name
    characteristic: Name
    chart: Chart
    center: float
    sigma: float | None = Field(default=None, ge=0)
    sigma_z: float | None = Field(default=None, ge=0)
    sigma_z_subgroups: int | None = Field(default=None, ge=0)
    k_sigma: float = Field(gt=0)
    at_n: tuple[LimitsAtV1, ...] = Field(default=(), max_length=20)
    spread_center: float | None = None
    spread_lcl: float | None = None
    spread_ucl: float | None = None
    phase: Literal["I", "II"]
    status: Literal["trial", "frozen", "carried"]
    provenance: ProvenanceV1
    rule_set: RuleSet
    arl0_subgroups: float | None = Field(default=None, gt=0)
    spread_arl0_subgroups: float | None = Field(default=None, gt=0)


class SignalV1(Message):
    """A rule was broken. Spc -> wall, people, SPC. Never withdrawn: a corrected subgroup makes it `superseded`.

    rule: which of the set, or `spread_1`: beyond the limits of the chart of scatter. again: it held at the subgroup before too.
    value: the charted statistic (of scatter, for its rule); z: the plain one, before sigma_z. points: subgroups that make the
    pattern, newest last. software_change_in_stage: the stage began within the pattern. drift_state: of the anomaly baseline;
    while it is stale this is a measurement problem first.
    """

    TYPE = "verdictline.spc.signal.v1"
    signal_id: Text
    subgroup_id: SubgroupId
    revision: int = Field(ge=0)
    limits_id: LimitsId
    station: Station
    product: Name
    series: Name
    stage_id: Name
    characteristic: Name
    chart: Chart
    rule_set: RuleSet
    rule: Name
    direction: Literal["high", "low", "both"]
    again: bool = False
    value: float
    z: float | None = None
    points: tuple[SubgroupId, ...] = Field(min_length=1, max_length=50)
    software_change_in_stage: bool = False
    drift_state: BaselineState | None = None
    status: Literal["open", "superseded"]
    phase: Literal["I", "II"]
    at: Time
