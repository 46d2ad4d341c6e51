"""Which workers get the trials of a study: those that have what it needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from server.services import views
from server.services.views import PlacementOf
from server.store import unable, workers
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.kept_amounts import Amounts
from server.store.reach import EVERY_STUDY, Reach
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.identifiers import StudyId
from sturgeon.messages import Needs

UNLIMITED: Final = 1_000_000


@dataclass(frozen=True)
class Offer:
    """What a worker has, free or in all. memory_gb: None where it does not say, and any trial fits. reach: the studies
    that its token is for."""

    kinds: tuple[str, ...] = ("train",)
    gpus: int = 0
    memory_gb: float | None = None
    labels: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    reach: Reach = EVERY_STUDY

    @classmethod
    def free(cls, request: messages.LeaseRequest, reach: Reach = EVERY_STUDY) -> Offer:
        """What the worker that asks, with a token of this reach, has free now."""
        return cls(
            tuple(request.kinds),
            request.gpus,
            request.memory_gb,
            frozenset(request.labels),
            frozenset(request.skip),
            _names(request.only),
            reach,
        )

    def room_for(self, needs: Needs) -> int:
        """How many trials with these needs fit at a time."""
        if not self.labels.issuperset(needs.labels):
            return 0
        by_gpus = self.gpus // needs.gpus if needs.gpus else UNLIMITED
        if needs.memory_gb is None or self.memory_gb is None:
            return by_gpus
        return min(by_gpus, math.floor(self.memory_gb / needs.memory_gb))

    def takes(self, name: str) -> bool:
        """Whether the worker wants trials of the study of this name."""
        wanted = name not in self.skip and (self.only is None or name in self.only)
        return wanted and self.reach.includes(name)

    def fits(self, kind: str, needs: Needs) -> bool:
        """Whether the worker can run a task of this kind with these needs."""
        return kind in self.kinds and self.room_for(needs) > 0


def _names(given: Sequence[str] | None) -> frozenset[str] | None:
    return None if given is None else frozenset(given)


def needs_of(stored: Json | None) -> Needs:
    """A study's needs, from its column."""
    return Needs.model_validate(stored or {})


def told_by(request: messages.LeaseRequest, reach: Reach) -> Json:
    """What a worker has in all, as its row stores it. reach: of its token."""
    told: Json = {
        "kinds": sorted(request.kinds),
        "gpus": max(request.gpus, request.total_gpus),
        "memory_gb": request.memory_gb if request.total_memory_gb is None else request.total_memory_gb,
        "labels": sorted(set(request.labels)),
    }
    if request.only is not None:
        told["only"] = sorted(set(request.only))
    if reach.prefixes is not None:
        told["prefixes"] = list(reach.prefixes)
    return told


def in_all(stored: Json | None) -> Offer:
    """What a worker has in all, from its row. One that has never said it runs train tasks, and has nothing else."""
    if stored is None:
        return Offer()
    return Offer(
        tuple(stored["kinds"]),
        stored["gpus"],
        stored["memory_gb"],
        frozenset(stored["labels"]),
        only=_names(stored.get("only")),
        reach=Reach.of(stored.get("prefixes"), ""),
    )


def lacking(needs: Needs, kind: str, offers: Sequence[Offer]) -> str | None:
    """Why none of these workers gets a trial, in a sentence; None where one does."""
    if any(offer.fits(kind, needs) for offer in offers):
        return None
    of_kind = [offer for offer in offers if kind in offer.kinds]
    if not of_kind:
        allow = {"command": " --allow-command PROGRAM", "python": " --allow-python MODULE"}.get(kind, "")
        lacks = f"No worker that is there runs tasks of kind {kind}" if offers else "No worker is there"
        return f"{lacks}; start one with `sturgeon worker{allow}`."
    parts = []
    missing = [label for label in needs.labels if not any(label in offer.labels for offer in of_kind)]
    if missing:
        parts.append(f"the label {', '.join(missing)}")
    if needs.gpus > (most := max(offer.gpus for offer in of_kind)):
        wanted = f"{needs.gpus} GPU{'s' if needs.gpus > 1 else ''}"
        parts.append(f"{wanted} ({most} at most)" if most else wanted)
    memory = max(math.inf if offer.memory_gb is None else offer.memory_gb for offer in of_kind)
    if needs.memory_gb is not None and needs.memory_gb > memory:
        parts.append(f"{needs.memory_gb:g} GB of memory ({memory:.3g} at most)")
    what = " and ".join(parts) or "all at once that the study needs"
    who = "The one worker that is there lacks" if len(offers) == 1 else f"None of the {len(offers)} workers has"
    return f"{who} {what}."


def of_studies(tx: Transaction, rows: Sequence[StudyRow], used: Mapping[int, Amounts]) -> dict[StudyId, PlacementOf]:
    """Of each of these studies, which workers cannot run it, and, while it has trials to give out, why none fits."""
    with_task = [row for row in rows if row.task_kind is not None]
    if not with_task:
        return {row.id: PlacementOf([], None) for row in rows}
    cannot = [(one.study_id, views.unable(one)) for one in unable.of_studies(tx, [row.id for row in with_task])]
    offers = {name: in_all(offer) for name, offer in workers.offers(tx).items()}
    placements = {}
    for row in rows:
        own = [one for study_id, one in cannot if study_id == row.id]
        waits = _has_trials_to_give_out(row, used[row.id])
        placements[row.id] = PlacementOf(own, _waits_for(row, offers, own) if waits else None)
    return placements


def _has_trials_to_give_out(row: StudyRow, used: Amounts) -> bool:
    if row.task_kind is None or row.state != "active" or row.spent is not None:
        return False
    draws = row.mode == "caviar" and row.next_number + row.replicates <= row.max_trials
    return draws or used.counts.get("queued", 0) > 0


def _waits_for(row: StudyRow, offers: Mapping[str, Offer], own: Sequence[messages.Unable]) -> str | None:
    assert row.task_kind is not None
    needs, here = needs_of(row.needs), {name: offer for name, offer in offers.items() if offer.takes(row.name)}
    if why := lacking(needs, row.task_kind, list(here.values())):
        return why
    reasons = {one.worker: one.reason for one in own}
    fitting = [name for name, offer in here.items() if offer.fits(row.task_kind, needs)]
    if not all(name in reasons for name in fitting):
        return None
    return f"No worker can run it. {fitting[0]}: {reasons[fitting[0]]}"
