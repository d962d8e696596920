"""Which passes go to blind review, and how likely that was: a function of the part's id, its evidence and its policy. Pure.

Whoever knows the probability of every pass can weigh what the audit finds: streams/review/escape_bound.py.
"""

from __future__ import annotations

import hashlib

from streams.judgement.part import Part
from streams.judgement.rules import Rules
from streams.judgement.standing import audit_share


def audit_probability(rules: Rules, part: Part) -> float:
    """Of a pass like this one: the policy's share, that of its p-value, or that of a baseline in doubt; the largest of them."""
    return max(audit_share(rules, part.job), _share_of_strangeness(rules, part))


def drawn_for_audit(inspection: str, probability: float) -> bool:
    """Whether this pass goes to blind review: by a hash of the id, so that a replay draws the same parts."""
    drawn = int.from_bytes(hashlib.blake2b(inspection.encode(), digest_size=8, person=b"audit").digest(), "big")
    return drawn < probability * 2**64


def _share_of_strangeness(rules: Rules, part: Part) -> float:
    """By the smallest p-value of its views; 0 where no step holds."""
    seen = [rules.p_value(view, facts.anomaly.score) for view, facts in part.views.items() if facts.anomaly is not None]
    strangest = min(seen, default=1.0)
    steps = rules.policy.audit_steps or ()
    return next((step.audit_fraction for step in steps if strangest <= step.p_at_most), 0.0)
