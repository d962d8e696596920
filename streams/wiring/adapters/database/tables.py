"""The tables, and which of two rows with one key stays. Knows no message and no driver.

Times are `*_us`: microseconds since 1970, UTC. at_us: when it happened on the line (of an inspection: its capture, where that
clock can be believed, else its announcement); retention goes by it. Text columns that hold JSON say so. log_offset: of the
record that the row was made from. `data`: the whole message as JSON, without what is too large to keep.

* inspections: one row each, the effective verdict. baselines: JSON {view: state}; challenge: JSON of the stamp.
* revisions: every revision of every verdict. reasons: JSON [{code, view, stage, detail}]; used: JSON of what decided.
* passes: production parts that the policy passed, counted once for ever: by product, probability of an audit (0: never) and hour
  (of decided_us; 0: all that retention has removed). good, bad, unanswered: of those drawn for audit that retention has removed.
* announced: what the gateway owed a verdict. views: JSON {view: [width_px, height_px]}.
* evidence: what each stage saw of each view, the first word of each model set. probabilities: JSON {class: share}; instances:
  JSON; cells, heat: of views with a p-value up to .2, the sorted heat map (`cells.py`), and the map to look at (`heat.py`);
  image: JSON of the reference. Only references that stand here are ever opened for a person.
* failed: stages that could not observe. reviews: what people decided; labels: what they say is true. physical: the part that a
  label is of, whatever image of it: `serial/..`, else `lot/..`, else `image/<inspection>`.
* spc_*, drift_events, baselines*, challenge_*, suspect_windows, detection_limits: the messages of those topics by their ids.
* acts, policies, model_sets, taxonomies, in_force: who put which version in force, and the versions. proposals: classes that
  clusters of unknowns would be; whether one was accepted stands in acts.
* positions: where reading goes on; gaps: input that Kafka's retention had removed before it was read.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, MetaData, Table, Text, text

META = MetaData()
OPEN = "(disposition = 'review' OR (decided_by = 'policy' AND (audit OR late)))"
"""Waits for a person: a review, an audited pass, containment. As text: an index for some rows serves only its own words."""

AUDITED = "(audit AND revision = 1)"
"""Passes of the policy that were drawn for audit."""


def _text(name: str, *, key: bool = False) -> Column[Any]:
    return Column(name, Text, primary_key=key, nullable=False)


def _maybe(*names: str) -> list[Column[Any]]:
    return [Column(name, Text, nullable=True) for name in names]


def _int(name: str, *, key: bool = False, nullable: bool = False) -> Column[Any]:
    return Column(name, BigInteger, primary_key=key, nullable=nullable, autoincrement=False)


def _flag(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Boolean(create_constraint=False), nullable=nullable)


def _real(name: str) -> Column[Any]:
    return Column(name, Double, nullable=True)


def _part() -> list[Column[Any]]:
    """What stands in an announcement and in a verdict alike."""
    return [
        _text("station"),
        _int("epoch"),
        _int("n"),
        _text("product"),
        *_maybe("lot", "tool", "serial"),
        _int("visit"),
        _text("purpose"),
        *_maybe("policy", "model_set", "acquisition"),
        _int("at_us"),
        _int("announced_us"),
    ]


INSPECTIONS = Table(
    "inspections",
    META,
    _text("inspection", key=True),
    *_part(),
    *_maybe("previous"),
    _int("revision"),
    _text("disposition"),
    *_maybe("label"),
    _text("decided_by"),
    *_maybe("who"),
    _flag("late"),
    _flag("audit"),
    _real("audit_probability"),
    _int("decided_us"),
    _int("gate_us", nullable=True),
    _text("reasons"),
    _flag("false_reject_rate_valid", nullable=True),
    *_maybe("baselines", "challenge"),
    Index("inspections_at", "at_us"),
    Index("inspections_serial", "serial"),
    Index("inspections_lot", "lot"),
    Index("inspections_decided", "decided_us"),
    Index("inspections_open", "inspection", sqlite_where=text(OPEN), postgresql_where=text(OPEN)),
)
REVISIONS = Table(
    "revisions",
    META,
    _text("inspection", key=True),
    Column("revision", Integer, primary_key=True, nullable=False, autoincrement=False),
    _text("disposition"),
    *_maybe("label"),
    _text("decided_by"),
    *_maybe("who"),
    _flag("late"),
    _flag("audit"),
    *_maybe("supersedes", "supersedes_label"),
    _int("decided_us"),
    _text("reasons"),
    _text("used"),
    _int("at_us"),
    *_maybe("product", "purpose"),
    _real("audit_probability"),
    Index("revisions_at", "at_us"),
    Index("revisions_audited", "inspection", sqlite_where=text(AUDITED), postgresql_where=text(AUDITED)),
)
PASSES = Table("passes", META, _text("product", key=True), Column("probability", Double, primary_key=True, nullable=False),
               _int("hour", key=True), _int("n"), _int("good"), _int("bad"), _int("unanswered"))  # fmt: skip
ANNOUNCED = Table(
    "announced",
    META,
    _text("inspection", key=True),
    *_part(),
    Column("decide_within_s", Double, nullable=False),
    _real("gate_time_s"),
    _int("views_expected"),
    _text("views"),
    *_maybe("baselines", "challenge"),
    _int("log_offset"),
    Index("announced_at", "at_us"),
)
EVIDENCE = Table(
    "evidence",
    META,
    _text("inspection", key=True),
    _text("view", key=True),
    _text("stage", key=True),
    _text("model_set", key=True),
    _text("model"),
    _real("score"),
    _real("p_value"),
    *_maybe("label"),
    _real("probability"),
    *_maybe("probabilities", "instances"),
    _real("mm_per_px"),
    *_maybe("cells", "image", "heat"),
    _int("log_offset"),
    _int("at_us"),
    Index("evidence_at", "at_us"),
)
FAILED = Table(
    "failed",
    META,
    _text("inspection", key=True),
    _text("view", key=True),
    _text("by_stage", key=True),
    _text("reason", key=True),
    _text("stages"),
    _text("station"),
    *_maybe("product", "purpose"),
    _text("detail"),
    _int("log_offset"),
    _int("at_us"),
    Index("failed_at", "at_us"),
)
REVIEWS = Table(
    "reviews",
    META,
    _text("inspection", key=True),
    Column("revision", Integer, primary_key=True, nullable=False, autoincrement=False),
    _text("who", key=True),
    _text("station"),
    _text("product"),
    _text("disposition"),
    *_maybe("label"),
    _text("role"),
    _text("why"),
    _int("looked_ms"),
    _int("log_offset"),
    _int("at_us"),
    Index("reviews_at", "at_us"),
)
LABELS = Table(
    "labels",
    META,
    _text("label_id", key=True),
    _text("inspection"),
    _text("station"),
    _text("product"),
    *_maybe("view", "answer", "label"),
    _text("who"),
    _text("opinion"),
    _text("shown"),
    *_maybe("withdraws"),
    _int("log_offset"),
    _int("at_us"),
    _text("data"),
    *_maybe("taxonomy"),
    _text("physical"),
    Index("labels_inspection", "inspection"),
    Index("labels_at", "at_us"),
    Index("labels_product", "product"),
    Index("labels_withdraws", "withdraws"),
)


def _place() -> list[Column[Any]]:
    return [_text("station"), _text("product")]


def _document() -> list[Column[Any]]:
    return [_int("log_offset"), _int("at_us"), _text("data")]


SPC_SUBGROUPS = Table(
    "spc_subgroups",
    META,
    _text("subgroup_id", key=True),
    *_place(),
    _text("series"),
    _text("stage_id"),
    *_maybe("lot"),
    _int("revision"),
    _int("start_us"),
    *_document(),
    Index("spc_subgroups_at", "at_us"),
)
SPC_LIMITS = Table("spc_limits", META, _text("limits_id", key=True), *_place(), _text("series"), _text("stage_id"),
                   _text("characteristic"), _text("status"), *_document())  # fmt: skip
SPC_SIGNALS = Table("spc_signals", META, _text("signal_id", key=True), *_place(), _text("series"), _text("stage_id"),
                    _text("characteristic"), _text("subgroup_id"), _text("status"), *_document(),
                    Index("spc_signals_at", "at_us"))  # fmt: skip
SPC_STAGES = Table("spc_stages", META, _text("station", key=True), _text("product", key=True), _text("series", key=True),
                   _text("stage_id", key=True), *_document())  # fmt: skip
SPC_PLANS = Table("spc_plans", META, _text("station", key=True), _text("product", key=True), *_document())
SPC_ACTS = Table("spc_acts", META, _text("event_id", key=True), *_place(), _text("act"), *_document())
DRIFT_EVENTS = Table("drift_events", META, _text("event_id", key=True), *_place(), _text("view"), _text("kind"),
                     *_maybe("state"), _text("inspection"), *_document(), Index("drift_events_at", "at_us"))  # fmt: skip
BASELINE_STATES = Table("baseline_states", META, _text("stream", key=True), *_place(), _text("view"), _text("baseline"),
                        _text("state"), _flag("certificate_expired"), *_document())  # fmt: skip
BASELINES = Table("baselines", META, _text("digest", key=True), *_place(), _text("view"), _text("origin"),
                  _int("generation"), _int("scores"), *_document())  # fmt: skip
BASELINE_POINTERS = Table("baseline_pointers", META, _text("stream", key=True), *_place(), _text("view"), *_maybe("baseline"),
                          _text("who"), _text("why"), *_document())  # fmt: skip
CHALLENGE_RESULTS = Table("challenge_results", META, _text("station", key=True), _text("product", key=True),
                          _text("proof", key=True), _text("set_id", key=True), _text("cause"), _flag("passed"),
                          *_document(), Index("challenge_results_at", "at_us"))  # fmt: skip
CHALLENGE_PROOFS = Table("challenge_proofs", META, _text("station", key=True), _text("product", key=True),
                         _text("proof", key=True), _int("at_us", key=True), _flag("proven"), _text("why"),
                         _int("log_offset"), _text("data"))  # fmt: skip
CHALLENGE_PARTS = Table("challenge_parts", META, _text("station", key=True), _text("part", key=True), _text("product"),
                        _text("proof"), _flag("retired"), *_document())  # fmt: skip
CHALLENGE_SCHEDULES = Table("challenge_schedules", META, _text("station", key=True), _text("product", key=True),
                            _text("proof", key=True), *_document())  # fmt: skip
CHALLENGE_DUES = Table("challenge_dues", META, _text("station", key=True), _text("set_id", key=True), _text("product"),
                       _text("proof"), _text("cause"), _int("answer_by_us"), *_document(),
                       Index("challenge_dues_at", "at_us"))  # fmt: skip
SUSPECT_WINDOWS = Table("suspect_windows", META, _text("station", key=True), _text("product", key=True),
                        _text("proof", key=True), _text("set_id", key=True), _int("page", key=True), _int("parts"),
                        *_document(), Index("suspect_windows_at", "at_us"))  # fmt: skip
DETECTION_LIMITS = Table("detection_limits", META, _text("station", key=True), _text("product", key=True),
                         _text("view", key=True), _text("set_id", key=True), _flag("worse"), *_document(),
                         Index("detection_limits_at", "at_us"))  # fmt: skip
ACTS = Table("acts", META, _text("event_id", key=True), _text("act"), _text("place"), _text("digest"), _text("who"),
             _text("why"), _int("log_offset"), _int("at_us"))  # fmt: skip
POLICIES = Table("policies", META, _text("digest", key=True), _text("product"), *_maybe("station"), _text("title"),
                 *_document())  # fmt: skip
MODEL_SETS = Table("model_sets", META, _text("digest", key=True), _text("product"), *_maybe("station"), *_document())
TAXONOMIES = Table("taxonomies", META, _text("digest", key=True), _text("product"), *_document())
PROPOSALS = Table("proposals", META, _text("proposal_id", key=True), _text("product"), _flag("withdrawn"), *_document(),
                  Index("proposals_product", "product"))  # fmt: skip
IN_FORCE = Table("in_force", META, _text("kind", key=True), _text("place", key=True), _text("digest"), _text("who"),
                 _text("why"), _int("log_offset"), _int("at_us"))  # fmt: skip
POSITIONS = Table("positions", META, _text("topic", key=True), _int("partition_no", key=True), _int("next_offset"))
GAPS = Table("gaps", META, _text("topic", key=True), _int("partition_no", key=True), _int("wanted", key=True), _int("first_left"),
             _int("noticed_us"))  # fmt: skip
MARKS = Table("marks", META, _text("name", key=True), _text("value"))

HIGHEST = {"inspections": "revision", "spc_subgroups": "revision", "positions": "next_offset"}
"""Of two rows with one key the one with the higher value stays."""
STAMPS = {"inspections": ("policy", "model_set", "baselines", "challenge", "gate_us")}
"""What a part was announced with. A person's word on a part that triage has forgotten does not repeat it: it stays as it was."""
LATEST = frozenset(
    {
        "spc_limits",
        "spc_signals",
        "spc_stages",
        "spc_plans",
        "baseline_states",
        "baseline_pointers",
        "challenge_results",
        "challenge_proofs",
        "challenge_parts",
        "challenge_schedules",
        "suspect_windows",
        "detection_limits",
        "in_force",
        "proposals",
    }
)
"""The one further back in the log stays: its last word counts. One key is always in one partition."""
FIRST = frozenset({"announced", "evidence", "failed", "reviews", "labels"})
"""The one further to the front of the log stays: triage takes the first."""
OWN = frozenset({"positions", "gaps", "marks"})
"""The sink's own; every other table is content, which the topics give again."""
KEPT_BY_TIME = ("inspections", "revisions", "announced", "evidence", "failed", "reviews", "labels")
"""What grows with every part: the database's retention removes it. What is left is small, and kept."""


def content() -> list[Table]:
    """The tables that the topics fill, in the order of their names."""
    return sorted((table for table in META.tables.values() if table.name not in OWN), key=lambda table: table.name)
