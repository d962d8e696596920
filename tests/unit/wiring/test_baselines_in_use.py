"""Which baselines a page calls stale: those of the models in force, as an act left them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from schemas.baseline import BaselinePointerV1, BaselineStateV1
from schemas.codec import CONSOLE, keyed
from schemas.common import Message
from schemas.drift import ScoreStreamV1
from schemas.ids import Digest
from streams.wiring.adapters.database.ask_baselines import baselines_in_use
from streams.wiring.adapters.database.connection import reading
from streams.wiring.adapters.database.store import Store
from tests.helpers.classes import pointers
from tests.helpers.database import write
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.history import MODELS, history
from tests.helpers.judgement import PRODUCT, STATION
from tests.helpers.labels import NOW

SAID = BaselineStateV1.read(Path("schemas/examples/verdictline.baseline.state.v1/good-suspect.json").read_bytes())
OURS = MODELS.models[0].ref
OLD = OURS.model_copy(update={"digest": "b" * 64})


def stream(view: str, old: bool = False) -> ScoreStreamV1:
    own = {"station": STATION, "product": PRODUCT, "view": view, "model": OLD if old else OURS}
    return SAID.stream.model_copy(update=own)


def stale(of: ScoreStreamV1) -> BaselineStateV1:
    return SAID.model_copy(update={"stream": of, "state": "stale"})


def pointer(of: ScoreStreamV1, baseline: Digest | None) -> BaselinePointerV1:
    return BaselinePointerV1(stream=of, baseline=baseline, who="ada", why="a test", at=NOW)


def states(engine: Engine) -> dict[tuple[str, bool], str]:
    with reading(engine) as connection:
        return {(one.stream.view, one.stream.model == OLD): one.state for one in baselines_in_use(connection)}


def put(engine: Engine, *said: Message) -> None:
    records = [keyed(one, id=f"{n}", key=f"x/{n}", subject="x", time=NOW, source=CONSOLE) for n, one in enumerate(said)]
    write(Store(engine), [appended(record, 500 + n, T0_MS) for n, record in enumerate(records)])


def test_only_streams_of_the_models_in_force_count_and_the_pointer_of_each(engine: Engine) -> None:
    v1, v2, v3 = (stream(view) for view in ("v1", "v2", "v3"))
    put(engine, *(stale(one) for one in (v1, v2, v3, stream("v1", old=True))))
    assert states(engine) == {("v1", False): "stale", ("v2", False): "stale", ("v3", False): "stale", ("v1", True): "stale"}
    in_force = [appended(record, 900 + n, T0_MS) for n, record in enumerate(pointers())]
    write(Store(engine), [*history(1), *in_force])
    put(engine, pointer(v1, SAID.baseline), pointer(v2, None), pointer(v3, "f" * 64))
    assert states(engine) == {("v1", False): "stale", ("v2", False): "retired", ("v3", False): "provisional"}
