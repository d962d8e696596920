-- Tables and views that postgres.py fills. Safe to run again; it runs at every start (unless --no-schema).
-- Rows are never changed: an id says the same for ever, a correction is another revision. `body` is the whole message.

SELECT pg_advisory_xact_lock(7261190);

CREATE SCHEMA IF NOT EXISTS verdictline;

CREATE TABLE IF NOT EXISTS verdictline.verdict (
    inspection  text        NOT NULL,
    revision    integer     NOT NULL,
    station     text        NOT NULL,
    product     text        NOT NULL,
    lot         text,
    tool        text,
    serial      text,
    visit       integer     NOT NULL DEFAULT 1,
    previous    text,
    purpose     text        NOT NULL,
    disposition text        NOT NULL,
    label       text,
    decided_by  text        NOT NULL,
    who         text,
    late        boolean     NOT NULL DEFAULT false,
    audit       boolean     NOT NULL DEFAULT false,
    captured_at timestamptz,
    gate_time   timestamptz,
    announced_at timestamptz NOT NULL,
    decided_at  timestamptz NOT NULL,
    policy      text,
    model_set   text,
    reasons     jsonb       NOT NULL,
    body        jsonb       NOT NULL,
    PRIMARY KEY (inspection, revision)
);
CREATE INDEX IF NOT EXISTS verdict_serial ON verdictline.verdict (serial) WHERE serial IS NOT NULL;
CREATE INDEX IF NOT EXISTS verdict_lot ON verdictline.verdict (lot, tool);
CREATE INDEX IF NOT EXISTS verdict_place ON verdictline.verdict (station, product, announced_at);

CREATE TABLE IF NOT EXISTS verdictline.subgroup (
    subgroup_id text        NOT NULL,
    revision    integer     NOT NULL,
    station     text        NOT NULL,
    product     text        NOT NULL,
    series      text        NOT NULL,
    stage_id    text        NOT NULL,
    lot         text,
    closed_by   text        NOT NULL,
    start       timestamptz NOT NULL,
    "end"       timestamptz NOT NULL,
    n           bigint      NOT NULL,
    nonconforming bigint    NOT NULL,
    counts      jsonb       NOT NULL,
    defects     jsonb       NOT NULL DEFAULT '{}',
    body        jsonb       NOT NULL,
    PRIMARY KEY (subgroup_id, revision)
);
CREATE INDEX IF NOT EXISTS subgroup_place ON verdictline.subgroup (station, product, series, start);

CREATE TABLE IF NOT EXISTS verdictline.limits (
    id          text        PRIMARY KEY,
    limits_id   text        NOT NULL,
    station     text        NOT NULL,
    product     text        NOT NULL,
    series      text        NOT NULL,
    stage_id    text        NOT NULL,
    characteristic text     NOT NULL,
    chart       text        NOT NULL,
    center      double precision NOT NULL,
    sigma_z     double precision,
    phase       text        NOT NULL,
    status      text        NOT NULL,
    at          timestamptz NOT NULL,
    body        jsonb       NOT NULL
);
CREATE INDEX IF NOT EXISTS limits_of ON verdictline.limits (limits_id, at);

CREATE TABLE IF NOT EXISTS verdictline.signal (
    id          text        PRIMARY KEY,
    signal_id   text        NOT NULL,
    subgroup_id text        NOT NULL,
    revision    integer     NOT NULL,
    station     text        NOT NULL,
    product     text        NOT NULL,
    series      text        NOT NULL,
    characteristic text     NOT NULL,
    chart       text        NOT NULL,
    rule        text        NOT NULL,
    direction   text        NOT NULL,
    value       double precision NOT NULL,
    status      text        NOT NULL,
    phase       text        NOT NULL,
    software_change_in_stage boolean NOT NULL DEFAULT false,
    at          timestamptz NOT NULL,
    body        jsonb       NOT NULL
);
CREATE INDEX IF NOT EXISTS signal_of ON verdictline.signal (signal_id);

-- One row a part: the highest revision.
CREATE OR REPLACE VIEW verdictline.effective_verdict AS
SELECT one.* FROM verdictline.verdict one
WHERE NOT EXISTS (
    SELECT FROM verdictline.verdict newer WHERE newer.inspection = one.inspection AND newer.revision > one.revision
);

-- One row a subgroup: the highest revision.
CREATE OR REPLACE VIEW verdictline.effective_subgroup AS
SELECT one.* FROM verdictline.subgroup one
WHERE NOT EXISTS (
    SELECT FROM verdictline.subgroup newer WHERE newer.subgroup_id = one.subgroup_id AND newer.revision > one.revision
);

-- Signals whose newest word is that they are open (a correction may supersede one, another open it again), and the newest word
-- on each limit.
CREATE OR REPLACE VIEW verdictline.open_signal AS
SELECT * FROM (
    SELECT DISTINCT ON (signal_id) * FROM verdictline.signal ORDER BY signal_id, revision DESC, at DESC, status DESC
) newest WHERE status = 'open';

CREATE OR REPLACE VIEW verdictline.current_limits AS
SELECT DISTINCT ON (limits_id) * FROM verdictline.limits ORDER BY limits_id, at DESC, phase DESC, id;

-- Who asks for a serial, a lot or a tool gets every visit of its parts, the verdict in effect, and how it came to be.
CREATE OR REPLACE VIEW verdictline.traceability AS
SELECT one.serial, one.lot, one.tool, one.station, one.product, one.inspection, one.visit, one.previous, one.purpose,
       one.captured_at, one.disposition, one.label, one.revision, one.decided_by, one.who, one.policy, one.model_set,
       history.revisions
FROM verdictline.effective_verdict one
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('revision', each.revision, 'disposition', each.disposition, 'label', each.label,
           'decided_by', each.decided_by, 'who', each.who, 'decided_at', each.decided_at, 'late', each.late,
           'reasons', each.reasons) ORDER BY each.revision) AS revisions
    FROM verdictline.verdict each WHERE each.inspection = one.inspection
) history;

-- Production parts not passed, by class. `unknown` (no class accepted) and `unreviewed` (waits for a person) are bars of their
-- own and always there. day: in the time zone of the session.
CREATE OR REPLACE VIEW verdictline.pareto_daily AS
WITH part AS (
    SELECT station, product, announced_at::date AS day,
           CASE WHEN disposition = 'review' THEN 'unreviewed'
                WHEN disposition IN ('rework', 'scrap') THEN coalesce(label, 'unknown') END AS bar
    FROM verdictline.effective_verdict WHERE purpose = 'production'
), counted AS (
    SELECT station, product, day, bar, count(*) AS parts FROM part WHERE bar IS NOT NULL GROUP BY station, product, day, bar
    UNION ALL
    SELECT DISTINCT station, product, day, always.bar, 0 FROM part CROSS JOIN (VALUES ('unknown'), ('unreviewed')) always(bar)
)
SELECT station, product, day, bar, sum(parts)::bigint AS parts FROM counted GROUP BY station, product, day, bar;

CREATE OR REPLACE VIEW verdictline.pareto AS
SELECT station, product, bar, sum(parts)::bigint AS parts,
       sum(parts) / nullif(sum(sum(parts)) OVER (PARTITION BY station, product), 0) AS share
FROM verdictline.pareto_daily GROUP BY station, product, bar;
