"""The versions that announcements name by digest, made ready to judge with. Where they are kept is a port.

Knows no inspection.
"""

from __future__ import annotations

from typing import Protocol

from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from streams.judgement.part import Refused
from streams.judgement.rules import Rules, rules_of

MOST_RULES = 200


class Versions(Protocol):
    """Every version that was ever published. None: nobody published such a one."""

    def policy(self, digest: str) -> PolicyV1 | None: ...

    def model_set(self, digest: str) -> ModelSetV1 | None: ...


class RuleBook:
    """Rules by the two digests, made once; the oldest of more than 200 pairs is forgotten. What is unknown is asked again."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._rules: dict[tuple[str, str], Rules] = {}

    def rules(self, policy: str | None, model_set: str | None) -> Rules | Refused:
        found = self._rules.get((policy or "", model_set or ""))
        if found is not None:
            return found
        known = None if policy is None else self._versions.policy(policy)
        if known is None:
            return "unknown_policy"
        models = None if model_set is None else self._versions.model_set(model_set)
        if models is None:
            return "unknown_model_set"
        if len(self._rules) >= MOST_RULES:
            del self._rules[next(iter(self._rules))]
        return self._rules.setdefault((policy or "", model_set or ""), rules_of(known, models))
