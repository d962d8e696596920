"""The plant and its gateway as one process: makes the parts of a plan and hands them in, on time. A restart goes on at n + 1."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import ExitStack

import cv2
import structlog

from streams.capture.gateway import Capture, View, acquisition_digest
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.processors.gateway import Gateway
from streams.wiring.processors.gateway_watch import watched_gateway
from streams.wiring.processors.injector import Injector
from streams.wiring.processors.limit_set import LimitSets
from streams.workbench.demo.plan import Plan, StationPlan
from streams.workbench.plant import FolderPlant, Part, Plant, SimulatedPlant

log = structlog.get_logger("plant")
_SEND_S, _READY_S = 600.0, 30.0


def plant_of(plan: Plan) -> Plant:
    """The plant that a plan speaks of."""
    if plan.folder is not None:
        return FolderPlant(plan.folder, plan.seed, plan.fit_share)
    return SimulatedPlant(seed=plan.seed, knobs=plan.knobs)


def capture_of(part: Part) -> Capture:
    """A part as a camera would hand it in."""
    return Capture(
        station=part.station,
        product=part.product,
        views=[View(view.name, view.encoded) for view in part.views],
        acquisition=acquisition_of(part.station, part.product),
        purpose=part.purpose,
        lot=part.lot,
        serial=part.serial,
    )


def acquisition_of(station: str, product: str) -> str:
    """How this station takes its images of a product: one setting for ever."""
    return acquisition_digest(camera="simulated", station=station, product=product)


def run_plant(plan: Plan, settings: Settings) -> bool:
    """Make and submit all parts, wait until Kafka has them. False where some were left in the outbox.

    A plan that stays then keeps the gateway and its metrics up until it is told to end.
    """
    stations = [station.name for station in plan.stations]
    with ExitStack() as stack:
        registry = stack.enter_context(BaselineRegistry(settings.client()))
        registry.wait_ready()
        gateway = Gateway(settings, registry, stations=stations)
        stack.callback(gateway.close)
        stack.enter_context(watched_gateway(gateway, settings))
        painter = LimitSets(settings, registry)
        injector = stack.enter_context(
            Injector(settings, stations, capture=gateway.post, acquisition=acquisition_of, painter=painter)
        )
        injector.wait_ready(_READY_S)
        return asyncio.run(_run(plan, gateway, injector))


async def _run(plan: Plan, gateway: Gateway, injector: Injector) -> bool:
    cv2.setNumThreads(1)  # the processors want the other core
    plant = plant_of(plan)
    lines = [asyncio.create_task(_line(plant, station, gateway, injector)) for station in plan.stations]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _cancel, lines)
    if plan.stays:
        lines.append(asyncio.create_task(_stay(lines.copy())))
    done = await asyncio.gather(*lines, return_exceptions=True)
    for result in done:
        if isinstance(result, Exception):
            raise result
    if any(isinstance(result, asyncio.CancelledError) for result in done):
        return False
    return await gateway.drain(_SEND_S)


async def _stay(lines: list[asyncio.Task[None]]) -> None:
    """For ever once they are done; a line that failed ends it with its error."""
    await asyncio.gather(*lines)
    await asyncio.Event().wait()


def _cancel(lines: list[asyncio.Task[None]]) -> None:
    for line in lines:
        line.cancel()


async def _line(plant: Plant, station: StationPlan, gateway: Gateway, injector: Injector) -> None:
    begin = time.monotonic()
    first = gateway.next_n(station.name)
    for n in range(first, station.end):
        part = await asyncio.to_thread(plant.part, station.name, n)
        await asyncio.sleep(max(0.0, begin + (n - first) / station.rate_per_s - time.monotonic()))
        await gateway.submit(injector.recognise(capture_of(part)))
