"""Threads that are kept for some requests, so that these do not wait behind all others."""

from __future__ import annotations

from dataclasses import dataclass, field

from anyio import CapacityLimiter


@dataclass(frozen=True)
class Lanes:
    """How many threads each kind of work may use at once. To be made in the event loop that serves."""

    bodies: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    """Large bodies that are parsed and validated; each may take 100 MB while it is."""
