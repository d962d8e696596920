"""Servers that exist already and are only named: do they answer? Starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.workbench.processes import ServerStartError

_WAIT_S = 5.0


def check_kafka(address: str, client: Mapping[str, Any]) -> None:
    """Raises ServerStartError, which names the address and what to try. client: further settings of the client."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": address, "log_level": 0, **client})
    try:
        admin.list_topics(timeout=_WAIT_S)
    except KafkaException as error:
        raise ServerStartError(
            f"Kafka at {address} does not answer ({error.args[0].str()}): is it running, and is VERDICTLINE_KAFKA its address? "
            "Without VERDICTLINE_KAFKA an embedded one is started"
        ) from error


def check_triton(address: str) -> None:
    """Raises ServerStartError, which names the address and what to try. address: of gRPC."""
    from tritonclient.grpc import InferenceServerClient
    from tritonclient.utils import InferenceServerException

    try:
        with InferenceServerClient(address) as client:
            client.is_server_live(client_timeout=_WAIT_S)
    except InferenceServerException as error:
        raise ServerStartError(
            f"Triton at {address} does not answer ({error.status() or error.message()}): is it running, and is "
            "VERDICTLINE_TRITON the address of its gRPC port? Without VERDICTLINE_TRITON an embedded one is started"
        ) from error
