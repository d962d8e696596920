"""A real single-node Apache Kafka (KRaft, one process) on this machine. Knows no topic and no message.

with EmbeddedKafka(Path("data")) as kafka:  # the folder keeps the log; without it: temporary
    Producer({"bootstrap.servers": kafka.bootstrap})
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.workbench.jars import class_path
from streams.workbench.java import find_java
from streams.workbench.kafka_properties import as_file, broker_properties
from streams.workbench.processes import (
    ServerStartError,
    clear_errors,
    die_with_parent,
    first_line,
    free_ports,
    is_free,
    lock_within,
    log_tail,
)

_JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
_CLUSTER_ID = "dmVyZGljdGxpbmUtMDAwMQ"  # 16 bytes, base64
_LOG4J = """status=warn
rootLogger.level=warn
rootLogger.appenderRef.c.ref=c
appender.c.type=Console
appender.c.name=c
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d{ISO8601} %p %m (%c{1})%n
"""
_NO_SPACE = "no space left on the disk; free some, or choose another folder"
_FULL_BYTES = 1 << 20
_TERMINATED = 128 + signal.SIGTERM  # how a JVM answers it
_LEAVING_S = 10.0  # a broker whose parent was killed shuts down by itself within this time


class EmbeddedKafka:
    """One broker with its controller, `bootstrap` is its address.

    data_dir: kept log, ports and `broker.log`. port: 0 takes the last one used if it is free, else a new one.
    The thread that calls `launch` or `start` must live as long as the broker should.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int = 0,
        cache: Path | None = None,
        timeout_s: float = 60.0,
        cores: frozenset[int] | None = None,
    ) -> None:
        self._temporary = None if data_dir else tempfile.TemporaryDirectory(prefix="kafka-", ignore_cleanup_errors=True)
        self.dir = Path(self._temporary.name if self._temporary else data_dir or ".").resolve()
        self.log = self.dir / "broker.log"
        self.timeout_s = timeout_s
        self.cores = cores
        self._cache = cache
        self._asked_port = port
        self.port = self._controller_port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return self.bootstrap

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> Self:
        """Start the broker, return when it answers. Raises ServerStartError, with nothing left behind."""
        try:
            self.launch()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def launch(self) -> None:
        """Format the data folder if it is new and start the broker without waiting. Raises ServerStartError."""
        java = find_java()
        jars = class_path(self._cache)
        with clear_errors("Kafka cannot use its data folder", self.dir):
            self.dir.mkdir(parents=True, exist_ok=True)
            with self._lock() as lock:
                self._settle_ports()
                config, log4j = self.dir / "server.properties", self.dir / "log4j2.properties"
                config.write_text(as_file(broker_properties(self.port, self._controller_port, self.dir / "data")))
                log4j.write_text(_LOG4J)
                command = [java, *_JVM, f"-Dlog4j2.configurationFile={log4j}", "-cp", jars]
                self._format(command, config)
                self._spawn([*command, "kafka.Kafka", str(config)], lock)

    def wait_ready(self) -> None:
        """Return when the broker answers. Raises ServerStartError with the reason of its log."""
        end = time.monotonic() + self.timeout_s
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 100})
        while True:
            if trouble := self.trouble():
                raise ServerStartError(f"Kafka did not start: {trouble}")
            try:
                if client.list_topics(timeout=0.5).brokers:
                    return
            except KafkaException as error:
                if time.monotonic() > end:
                    self.kill()
                    raise ServerStartError(
                        f"Kafka did not answer within {self.timeout_s:.0f} s; its log is {self.log}"
                    ) from error

    def trouble(self) -> str | None:
        """Why it has to be started again; None while it runs."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        if code < 0 or code == _TERMINATED:
            return f"it ended with {code}"
        full = shutil.disk_usage(self.dir).free < _FULL_BYTES  # then its log may be empty
        return f"it ended with {code}: {_NO_SPACE if full else _reason(log_tail(self.log))}"

    def stop(self, grace_s: float = 20.0) -> None:
        """A clean shutdown; after the grace, kill. Without data_dir its data are gone."""
        if self._process:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        self.kill()
        if self._temporary:
            self._temporary.cleanup()

    def kill(self) -> None:
        """SIGKILL: what a crash does."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _lock(self) -> IO[bytes]:
        """The broker inherits it, so that it is held exactly as long as the broker lives, whatever becomes of us."""
        lock = lock_within(self.dir / "lock", _LEAVING_S)
        if lock is None:
            raise ServerStartError(f"another Kafka runs on {self.dir}: stop it, or choose another folder")
        return lock

    def _settle_ports(self) -> None:
        if self.port:  # a restart: clients know the address
            return
        kept = self.dir / "port"
        wanted = self._asked_port or (int(kept.read_text()) if kept.exists() else 0)
        if self._asked_port and not is_free(self._asked_port):
            raise ServerStartError(f"port {self._asked_port} is taken: stop what uses it, or choose another for Kafka")
        fresh, self._controller_port = free_ports(2)
        self.port = wanted if wanted and is_free(wanted) else fresh
        kept.write_text(str(self.port))

    def _format(self, command: list[str], config: Path) -> None:
        if (self.dir / "data" / "meta.properties").exists():
            return
        tool = [*command, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(config)]
        made = subprocess.run(tool, capture_output=True, text=True)
        if made.returncode:
            raise ServerStartError(f"Kafka cannot format {self.dir}: {_reason(made.stderr or made.stdout)}")

    def _before_exec(self) -> None:
        die_with_parent()
        if self.cores:
            os.sched_setaffinity(0, self.cores)

    def _spawn(self, command: list[str], lock: IO[bytes]) -> None:
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.dir,
                start_new_session=True,  # Ctrl-C is for us: the broker stops after its clients
                pass_fds=(lock.fileno(),),
                preexec_fn=self._before_exec if sys.platform == "linux" else None,
            )


def _reason(output: str) -> str:
    """The line of a Java program's output that says what went wrong."""
    if "No space left on device" in output:
        return _NO_SPACE
    text = "\n".join(line for line in output.splitlines() if not line.lstrip().startswith("at "))
    return first_line(text, re.compile(r"(Exception|Error)(:|$)|^Error|Invalid|FATAL").search)
