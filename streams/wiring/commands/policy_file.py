"""A policy as a YAML file, checked as a writer is: unknown fields, doubled keys and wrong types are faults. Knows no Kafka."""

from __future__ import annotations

import json
from collections.abc import Hashable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from schemas.common import Message
from schemas.policy import PolicyV1

M = TypeVar("M", bound=Message)


class PolicyFaults(Exception):
    """faults: `path: reason`, one each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Loader(yaml.SafeLoader):
    """Refuses a key that is there twice: the second would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is there twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def load_policy(path: Path) -> PolicyV1:
    """Raises PolicyFaults; OSError."""
    return load_message(path, PolicyV1, hint="product: and title:")


def load_message(path: Path, kind: type[M], hint: str, **more: Any) -> M:
    """Any message as YAML, with fields that the file need not hold. Raises PolicyFaults; OSError."""
    try:
        data = yaml.load(path.read_bytes(), Loader)  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PolicyFaults([f"not YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(data, dict):
        raise PolicyFaults([f"the file must hold `name: value` lines, as {hint}"])
    try:
        return kind.model_validate_json(json.dumps({**data, **more}, default=_text, allow_nan=True), strict=True)
    except ValidationError as error:
        raise PolicyFaults([_fault(dict(fault)) for fault in error.errors(include_url=False)]) from error


def _text(value: object) -> str:
    """YAML reads 2026-11-23 as a date: as text it fails where it does not belong."""
    if isinstance(value, date):
        return value.isoformat()
    raise PolicyFaults([f"a value of type {type(value).__name__} does not belong here"])


def _fault(fault: dict[str, Any]) -> str:
    path = ".".join(map(str, fault["loc"])) or "the file"
    reasons = {"extra_forbidden": "there is no such field", "missing": "is missing"}
    return f"{path}: {reasons.get(fault['type']) or str(fault['msg']).removeprefix('Value error, ')}"


def dump_policy(policy: PolicyV1) -> str:
    """As YAML that `load_policy` reads back to an equal policy."""
    return yaml.safe_dump(policy.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True, width=120)
