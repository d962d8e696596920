"""Masks in a process of its own: large images stay out of the caller's memory, and hostile ones out of its process.

`Masking` starts `python -m streams.wiring.masking` when it is first asked, and ends it when nobody has asked for a while. A
question is a line of JSON and the bytes that it names, an answer likewise; the end of its input ends the process.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any

from schemas.common import Region
from schemas.evidence import InstanceV1
from schemas.model_set import PreparationV1
from streams.capture.image import decode_rgb, use_one_thread
from streams.evidence.measures import Scale
from streams.fates import Unavailable, Unprocessable
from streams.review.masks import measured, read_mask, write_mask
from streams.review.proposal import Hint, proposed

_WITHIN_S, _IDLE_S = 20.0, 60.0
_NICE = 2
_MOST_MEMORY = 3 << 30  # address space; what it really uses follows the image
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def propose(image: bytes, hint: Hint) -> bytes:
    """Encoded image -> a mask as `read_mask` reads it, or one in which nothing is painted. Raises Unprocessable as `decode`."""
    return write_mask(proposed(decode_rgb(image, PreparationV1(low=hint.low, high=hint.high)), hint))


def measure(mask: bytes, width: int, height: int, label: str, scale: Scale) -> tuple[tuple[InstanceV1, ...], bytes]:
    """(regions of a mask that has to be of this size, the mask as `write_mask` writes it). Raises Unprocessable `bad_mask`."""
    found = read_mask(mask, width, height)
    return measured(found, label, scale), write_mask(found)


class Masking:
    """May be asked from any thread; one question at a time. Raises Unprocessable where the bytes are at fault, Unavailable."""

    def __init__(self, within_s: float = _WITHIN_S, idle_s: float = _IDLE_S) -> None:
        self._within_s, self._idle_s = within_s, idle_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._rest: threading.Timer | None = None

    def propose(self, image: bytes, hint: Hint) -> bytes:
        """As the function."""
        return self._ask({"do": "propose", "hint": _packed(hint)}, image)[1]

    def measure(self, mask: bytes, width: int, height: int, label: str, scale: Scale) -> tuple[tuple[InstanceV1, ...], bytes]:
        """As the function."""
        question = {"do": "measure", "width": width, "height": height, "label": label, "scale": asdict(scale)}
        answer, written = self._ask(question, mask)
        return tuple(map(InstanceV1.model_validate, answer["instances"])), written

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask(self, question: Mapping[str, Any], data: bytes) -> tuple[Mapping[str, Any], bytes]:
        with self._lock:
            process = self._started()
            late = threading.Timer(self._within_s, process.kill)
            late.daemon = True
            late.start()
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                _put(process.stdin, question, data)
                answer, found = _take(process.stdout)
            except (OSError, ValueError) as error:
                self._end()
                raise Unavailable(f"masks cannot be worked on now: {error}") from error
            finally:
                late.cancel()
            self._rest_later()
        if "refused" in answer:
            raise Unprocessable(*answer["refused"])
        return answer, found

    def _started(self) -> subprocess.Popen[bytes]:
        if self._rest is not None:
            self._rest.cancel()
        if self._process is None or self._process.poll() is not None:
            self._end()
            command = [sys.executable, "-m", "streams.wiring.masking"]
            pipe, env = subprocess.PIPE, {**os.environ, **_ONE_THREAD}
            try:
                self._process = subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
            except OSError as error:
                raise Unavailable(f"masks cannot be worked on now: {error}") from error
        return self._process

    def _rest_later(self) -> None:
        self._rest = threading.Timer(self._idle_s, self.close)
        self._rest.daemon = True
        self._rest.start()

    def _end(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        process, self._process, self._rest = self._process, None, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _put(out: IO[bytes], head: Mapping[str, Any], data: bytes = b"") -> None:
    out.write(json.dumps({**head, "bytes": len(data)}).encode() + b"\n")
    out.write(data)
    out.flush()


def _take(source: IO[bytes]) -> tuple[Mapping[str, Any], bytes]:
    """Raises ValueError where the other side has ended."""
    line = source.readline()
    if not line:
        raise ValueError("the process has ended")
    head = json.loads(line)
    data = source.read(head["bytes"])
    if len(data) < head["bytes"]:
        raise ValueError("the process has ended")
    return head, data


def _packed(hint: Hint) -> Mapping[str, Any]:
    heat = None if hint.heat is None else [hint.heat[0], hint.heat[1].hex(), hint.heat[2]]
    boxes, covered = [one.model_dump() for one in hint.boxes], hint.covered.model_dump()
    return {"boxes": boxes, "heat": heat, "covered": covered, "low": hint.low, "high": hint.high}


def _unpacked(data: Mapping[str, Any]) -> Hint:
    heat = None if data["heat"] is None else (data["heat"][0], bytes.fromhex(data["heat"][1]), data["heat"][2])
    boxes = tuple(Region(**one) for one in data["boxes"])
    return Hint(boxes=boxes, heat=heat, covered=Region(**data["covered"]), low=data["low"], high=data["high"])


def _answered(question: Mapping[str, Any], data: bytes) -> tuple[Mapping[str, Any], bytes]:
    if question["do"] == "propose":
        return {}, propose(data, _unpacked(question["hint"]))
    scale = Scale(**question["scale"])
    found, written = measure(data, question["width"], question["height"], question["label"], scale)
    return {"instances": [one.model_dump(mode="json", exclude_none=True) for one in found]}, written


def main() -> None:
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    use_one_thread()
    source, out = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            question, data = _take(source)
        except ValueError:
            return
        try:
            _put(out, *_answered(question, data))
        except Unprocessable as error:
            _put(out, {"refused": [error.reason, error.detail]})


if __name__ == "__main__":
    main()
