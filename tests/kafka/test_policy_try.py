"""`policy try` from the log itself says what it says from the sink's database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.envelope import ContractError, Received
from schemas.policy import PolicyV1
from streams.__main__ import application
from streams.wiring.adapters.database.rows import TOPICS, rows_of
from streams.wiring.adapters.database.store import Store
from streams.wiring.adapters.kafka import read_all
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.commands.policy_file import dump_policy
from tests.helpers.database import fresh_engine, write
from tests.helpers.history import RULES, history
from tests.helpers.servers import SharedKafka
from tests.kafka.test_sink import send

pytestmark = pytest.mark.kafka
N = 80


def test_the_log_and_the_database_agree(kafka: SharedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    send(client, history(N, seed=8))
    monkeypatch.setenv("VERDICTLINE_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("VERDICTLINE_STATE", str(tmp_path))
    monkeypatch.delenv("VERDICTLINE_DATABASE", raising=False)
    file = tmp_path / "policy.yaml"
    stricter = {**RULES.model_dump(exclude_none=True), "anomaly": {"alpha": 0.2}, "title": "stricter"}
    file.write_text(dump_policy(PolicyV1.model_validate(stricter)))
    from_log = tried(str(file))  # no sink has run: auto falls back to the log
    engine = fresh_engine(None, tmp_path)
    kept = ("evidence.v1", "verdict.v1", "policy.v1", "model-set.v1")
    found = [one for one in read_all(client, TOPICS) if one.topic in kept and readable(one)]
    write(Store(engine), found, 1000)
    engine.dispose()
    assert from_log["parts"] >= N
    assert from_log["changes"]
    assert tried(str(file), "--source", "database") == from_log
    assert tried(str(file), "--source", "log") == from_log


def readable(record: Received) -> bool:
    """Other tests leave messages here that become dead letters."""
    try:
        rows_of(record)
    except ContractError:
        return False
    return True


def tried(*argv: str) -> Any:
    done = CliRunner().invoke(application(["policy"]), ["policy", "try", *argv, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.output)
