"""Requests of a program that makes traces with OpenTelemetry belong to its trace."""

from __future__ import annotations

import sys


def trace_headers() -> dict[str, str]:
    """W3C's headers of the span that this program is in; none where it has not imported OpenTelemetry."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or not trace.get_current_span().get_span_context().is_valid:
        return {}
    from opentelemetry.propagate import inject

    headers: dict[str, str] = {}
    inject(headers)
    return headers
