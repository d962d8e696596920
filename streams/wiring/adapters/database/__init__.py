"""What happened, in a database: tables that the sink fills from the topics, and questions about them as plain functions.

Written by `streams/wiring/processors/sink.py` alone. `tables.py` describes the tables, `rows.py` how records become rows,
`store.py` how they are written. Whoever reads starts with `scope.asking(settings.database, settings.state)`, which gives one
snapshot as an open connection; every question takes it, and a `Scope` (time, stations, products, lots, purposes):

* `ask_parts`: counts (by station, product, purpose, disposition, label), reason_codes, reconciliation (announced = judged,
  holes in the numbers), looked_at (policy's word against a person's), audits, open_reviews, open_audits, parts,
  parts_of_serial, part, failures, versions_used, truths (labels).
* `ask_monitors`: subgroups, signals, limits, stages, limit_acts, drift_events, baseline_states, challenge_results, proofs,
  suspect_windows, detection_limits, acts, policies, model_sets, gaps, kept_since, read_until.
"""
