"""The routes that steer a model while it trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sturgeon import messages as m
from sturgeon.client.connected import Connected
from sturgeon.client.requests import (
    as_dict,
    given,
    trial_path,
)
from sturgeon.values import Json


class SteeringRoutes(Connected):
    """Change, pause, roll back and branch."""

    def set_params(
        self,
        study: str,
        number: int,
        params: Mapping[str, object],
        reason: str = "",
        guard: m.Guard | Mapping[str, object] | None = None,
        if_version: int | None = None,
    ) -> m.Steered:
        """Change live parameters of a trial while it trains. `guard`: `{"metric", "worse_by", "within_epochs"}`, else
        back. With `if_version` the change is refused if the desired state has another version by now."""
        body = {"params": dict(params), "reason": reason} | ({} if guard is None else {"guard": as_dict(guard)})
        return self._steer("PATCH", f"{trial_path(study, number)}/params", body, if_version)

    def pause(self, study: str, number: int, reason: str = "", if_version: int | None = None) -> m.Steered:
        """Let the run leave a checkpoint and give its slot back."""
        return self._steer("POST", f"{trial_path(study, number)}:pause", {"reason": reason}, if_version)

    def resume(self, study: str, number: int, reason: str = "", if_version: int | None = None) -> m.Steered:
        return self._steer("POST", f"{trial_path(study, number)}:resume", {"reason": reason}, if_version)

    def stop(self, study: str, number: int, reason: str = "", if_version: int | None = None) -> m.Steered:
        """Let the run finish its epoch and tell its result."""
        return self._steer("POST", f"{trial_path(study, number)}:stop", {"reason": reason}, if_version)

    def keep_checkpoint(self, study: str, number: int, reason: str = "", if_version: int | None = None) -> m.Steered:
        """Let the run leave a checkpoint that no rule drops."""
        return self._steer("POST", f"{trial_path(study, number)}:checkpoint", {"reason": reason}, if_version)

    def rollback(
        self,
        study: str,
        number: int,
        step: int | None = None,
        params: Mapping[str, object] | None = None,
        reason: str = "",
        if_version: int | None = None,
    ) -> m.Steered:
        """Back to the checkpoint of a step (the newest; 0: the start), and on from there with these parameters."""
        body = {"params": dict(params or {}), "reason": reason} | given(step=step)
        return self._steer("POST", f"{trial_path(study, number)}:rollback", body, if_version)

    def fork(
        self,
        study: str,
        number: int,
        branches: Iterable[Mapping[str, object]],
        step: int | None = None,
        control: bool = True,
        raise_budget: bool = False,
        reason: str = "",
    ) -> list[m.Trial]:
        """A trial for the parameters of each branch, from the checkpoint of a step (the newest); and, last, the
        control: unchanged, with the same seed."""
        body: Json = {
            "branches": [{"params": dict(params)} for params in branches],
            "control": control,
            "reason": reason,
        }
        body |= given(raise_budget=raise_budget, step=step)
        return self._wire.ask(m.Page[m.Trial], "POST", f"{trial_path(study, number)}:fork", body, once=True).items

    def promote(
        self,
        study: str,
        number: int,
        params: Mapping[str, object] | None = None,
        step: int | None = None,
        raise_budget: bool = False,
        reason: str = "",
    ) -> m.Trial:
        """A panda that goes on from the trial's best checkpoint, or from that of a step, with these parameters."""
        body = {"params": dict(params or {}), "raise_budget": raise_budget, "reason": reason} | given(step=step)
        return self._wire.ask(m.Trial, "POST", f"{trial_path(study, number)}:promote", body, once=True)

    def timeline(self, study: str, number: int) -> m.Timeline:
        """What happened to a trial, whose branch it is, and the schedule that its training comes to."""
        return self._wire.ask(m.Timeline, "GET", f"{trial_path(study, number)}/timeline")

    def lineage(self, study: str, number: int) -> m.Lineage:
        """The whole tree of forks and promoted trials that a trial belongs to."""
        return self._wire.ask(m.Lineage, "GET", f"{trial_path(study, number)}/lineage")

    def proposals(self, study: str, number: int) -> list[m.Proposal]:
        """What policies would change, the oldest first."""
        return self._wire.ask(m.Page[m.Proposal], "GET", f"{trial_path(study, number)}/proposals").items

    def accept(
        self, study: str, number: int, proposal: int, reason: str = "", if_version: int | None = None
    ) -> m.Steered:
        """Do what a policy proposed."""
        path = f"{trial_path(study, number)}/proposals/{proposal}:accept"
        return self._steer("POST", path, {"reason": reason}, if_version)

    def dismiss(self, study: str, number: int, proposal: int) -> m.Proposal:
        return self._wire.ask(m.Proposal, "POST", f"{trial_path(study, number)}/proposals/{proposal}:dismiss")

    def _steer(self, method: str, path: str, body: Mapping[str, object], if_version: int | None) -> m.Steered:
        headers = {} if if_version is None else {"If-Match": f'"{if_version}"'}
        return self._wire.ask(m.Steered, method, path, body, once=True, headers=headers)
