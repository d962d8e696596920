"""Settings of property tests whose machine may be busy with others': no time limits, fewer examples."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

CALM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
