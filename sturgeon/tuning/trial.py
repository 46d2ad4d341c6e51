"""A trial that this process runs: its parameters, its reports, and what it is told at its end."""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, SupportsFloat, SupportsIndex

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.direction import Direction
from sturgeon.errors import LeaseLost, NotFound, ServerUnreachable, TrialFinished
from sturgeon.objective import last_line, metrics_of
from sturgeon.packed_folder import Damaged
from sturgeon.states import ToldState
from sturgeon.tuning.heartbeat import Heartbeat
from sturgeon.tuning.params import Params
from sturgeon.tuning.trial_folder import Reached, TrialFolder, rule_of
from sturgeon.values import as_plain_text

log = logging.getLogger("sturgeon")
LONGEST_ERROR: Final = 5000


class StudyTrial:
    """A trial of a study, held by this process while it runs.

    Use it as a context: its lease is renewed until the block ends, and the end is told. An exception is told as failed
    and goes on to the caller; KeyboardInterrupt, SystemExit and ServerUnreachable give the trial back. A metric that is
    not a number at the end is told as diverged. A block that reports no metric of the study has failed.

    number, seed, attempt: which trial it is, a seed of its own, and how many attempts failed before this one.
    study: the study's name.
    """

    def __init__(self, client: Client, lease: m.Lease, metric: str, direction: Direction, heartbeat: Heartbeat) -> None:
        self.study, self.number, self.seed, self.attempt = lease.study, int(lease.number), lease.seed, lease.attempt
        self._client, self._lease, self._metric, self._heartbeat = client, lease, metric, heartbeat
        self._desired = lease.desired
        self._applied, self._applied_params = lease.desired.version, lease.desired.params
        self._acknowledged = 0 if lease.resume is None else lease.resume.version
        self._direction, self._reached = direction, Reached(metric)
        self._folder: TrialFolder | None = None
        self._lost: str | None = None
        self._obeyed_stop = self._over = False
        heartbeat.add(self)

    # --- for the code that runs

    @property
    def params(self) -> Params:
        """The parameters, with those that were changed while the trial runs."""
        self._acknowledge()
        return Params(self._lease.params | self._desired.params)

    @property
    def should_stop(self) -> bool:
        """Whether the trial should end: it was pruned or stopped, shall go back, or is not held any more."""
        stop = self._desired.run != "run" or self._goes_back() or self._lost is not None
        if stop:
            self._obeyed_stop = True
            self._acknowledge()
        return stop

    @property
    def should_pause(self) -> bool:
        """Whether it should end for a while: it is given back, and runs again when it is resumed."""
        return self._desired.run == "pause"

    @property
    def checkpoint(self) -> Path | None:
        """The folder for what the code goes on from, deleted at the trial's end; not empty when it shall go on. None
        for a study whose task has no checkpoints."""
        if self._folder is None and not self._over and (rule := rule_of(self._lease.task)) is not None:
            self._folder = TrialFolder(self._client, self._lease, rule, self._direction, self._reached)
        return None if self._folder is None else self._folder.path

    def saved(self, step: SupportsIndex) -> None:
        """Say that the checkpoint folder is whole: from it, the run can go on after this step.

        It is uploaded at once for the best value so far, and every 30 s (the task's `every_s`); else when the trial is
        given back.
        """
        if self.checkpoint is not None:
            self._in_folder(lambda folder: folder.saved(operator.index(step), self._applied, self._desired.checkpoint))

    def report(
        self,
        step: SupportsIndex | None = None,
        values: Mapping[str, SupportsFloat] | None = None,
        *,
        epoch: SupportsFloat | None = None,
        **metrics: SupportsFloat,
    ) -> None:
        """Report metrics, as `report(step, dev_loss=0.2)` or `report(step, {"val/loss": 0.2})`.

        step: an integer that rises; without it, one more than the last. epoch: how many epochs are done, if a step is
        less than one. Look at `should_stop` afterwards. The last values are the trial's result.

        Raises: TypeError (a metric is no number, or none is given), ReportConflict (the step had other values before).
        """
        named = metrics_of({**(values or {}), **metrics}, self._metric)
        if not named:
            raise TypeError(f"Report at least one metric, like report(step, {self._metric}=0.2).")
        before, reached = self._reached.reported, self._reached
        number = operator.index(step) if step is not None else 0 if before is None else before + 1
        reached.reported = number
        reached.epoch = reached.epoch if epoch is None else float(epoch)
        reached.last |= named
        if self._lost is not None:
            return
        body: dict[str, object] = {"step": number, "metrics": named}
        if epoch is not None:
            body["epoch"] = float(epoch)
        try:
            answer = self._client.report(self.study, self.number, self._lease.fence, [body], self._applied, number)
        except (LeaseLost, TrialFinished) as error:
            self.lost(error.message)
        else:
            self._acknowledged = self._applied
            self.told(answer.desired)
            self._in_folder(lambda folder: folder.look(self._applied, self._desired.checkpoint))

    # --- for whoever has asked for it

    def begin(self) -> bool:
        """Restore the folder that the trial goes on from, if it does; whether it can run.

        It cannot where the server has lost the checkpoint: then it is given back, and its next run begins at an older
        one, or anew. Where the checkpoint is no folder, the trial has failed. A worker does the same.

        Raises: SturgeonError, OSError (it cannot be fetched or written here; the trial is given back).
        """
        resume = self._lease.resume
        if resume is None or resume.sha256 is None:
            return True
        try:
            return self.checkpoint is None or self.checkpoint.exists()
        except NotFound as lost:
            log.warning("%s is given back: %s", self, lost.message)
            self._release(is_clean=False)
        except Damaged as error:
            self.fail(f"The checkpoint of step {resume.step} cannot be unpacked: {error}.")
        except BaseException:
            self._release(is_clean=False)
            raise
        return False

    # --- for the heartbeat

    @property
    def held(self) -> m.Held:
        return m.Held(study=self.study, number=self._lease.number, fence=self._lease.fence)

    def told(self, desired: m.Desired) -> None:
        if desired.version >= self._desired.version:
            self._desired = desired

    def lost(self, reason: str) -> None:
        if self._lost is None and not self._over:
            self._lost = reason
            log.warning("%s is not held by this process any more: %s", self, reason)

    # --- its end

    def conclude(self, metrics: Mapping[str, SupportsFloat]) -> None:
        """The metrics that the trial will end with, beside those reported last."""
        self._reached.last |= metrics_of(metrics, self._metric)

    def finish(self, **metrics: SupportsFloat) -> None:
        """Tell the end now, with these metrics beside those reported last: for a trial without a `with`."""
        self.conclude(metrics)
        self._end()

    def fail(self, error: BaseException | str) -> None:
        """Tell that the trial failed, and why. It is not tried again: the same code would fail again."""
        text = error if isinstance(error, str) else last_line(error)
        self._keep(is_clean=False)
        self._tell({}, "failed", text[:LONGEST_ERROR])

    def release(self) -> None:
        """Give the trial back: it runs again, here or elsewhere, with its checkpoint folder. No attempt is spent."""
        self._release(is_clean=True)

    def _release(self, *, is_clean: bool) -> None:
        self._keep(is_clean=is_clean)
        self._give_back()

    def _give_back(self) -> None:
        if not self._over and self._lost is None:
            self._close()
            try:
                self._client.release(self.study, self.number, self._lease.fence)
            except (LeaseLost, TrialFinished) as error:
                log.warning("%s could not be given back: %s", self, error)

    def leave(self, error: BaseException | None, where: str | None = None) -> None:
        """End the trial as the block that ran it ended: by itself, or with this exception. `where` it was raised, if
        its traceback does not say so yet."""
        if error is None:
            self._end()
        elif isinstance(error, Exception) and not isinstance(error, ServerUnreachable):
            self.fail(last_line(error, where))
        else:
            self._release(is_clean=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave(error)

    def _end(self) -> None:
        if self._over or self._lost is not None:
            return self._close()
        self._keep(is_clean=True)
        value = self._reached.last.get(self._metric)
        if self._obeyed_stop and (self._goes_on_later() or value is None):
            return self.release()
        if value is None:
            return self._tell({}, "failed", self._unreported())
        if not math.isfinite(value):
            return self._tell(self._reached.last, "diverged")
        pruned = self._obeyed_stop and self._desired.why == "pruned"
        return self._tell(self._reached.last, "pruned" if pruned else "complete")

    def _keep(self, *, is_clean: bool) -> None:
        """Upload what is new in the checkpoint folder. is_clean: the code has come to an end of its own, so that it is
        whole. Where that breaks, or is interrupted, the trial is given back: else this process would hold it for ever.
        """
        try:
            self._in_folder(lambda folder: folder.at_end(self._applied, is_clean=is_clean))
        except BaseException as error:  # of a server that is away the lease runs out
            self._close() if isinstance(error, ServerUnreachable) else self._give_back()
            raise

    def _in_folder(self, do: Callable[[TrialFolder], None]) -> None:
        """Do something in the checkpoint folder, if the trial has one and is held."""
        if self._folder is None or self._over or self._lost is not None or self._goes_back():
            return
        try:
            if self._applied > self._acknowledged:  # the server takes no checkpoint of what it does not know to apply
                step, fence = self._reached.step, self._lease.fence
                self._client.report(self.study, self.number, fence, [], self._applied, step)
                self._acknowledged = self._applied
            do(self._folder)
        except (LeaseLost, TrialFinished) as error:
            self.lost(error.message)

    def _goes_on_later(self) -> bool:
        return self.should_pause or self._goes_back()

    def _goes_back(self) -> bool:
        """Whether it was rolled back: the next run of it begins at the earlier step."""
        return self._desired.leg != self._lease.desired.leg

    def _acknowledge(self) -> None:
        """The code knows the newest desired state now; the next report says so."""
        if self._goes_back():
            return
        desired, folder = self._desired, self._folder
        if folder is not None and desired.checkpoint > max(self._applied, folder.wanted):
            if desired.run == "run" and desired.params == self._applied_params:
                return  # a checkpoint is all that is asked for: the next one that is saved
            self._in_folder(lambda folder: folder.keep_newest(desired.checkpoint))
        self._applied, self._applied_params = desired.version, desired.params

    def _unreported(self) -> str:
        others = f" (it reported {', '.join(last)})" if (last := self._reached.last) else ""
        return f"The trial ended without its metric {self._metric}{others}: report({self._metric}=..) in it."

    def _tell(self, metrics: dict[str, float], state: ToldState, error: str | None = None) -> None:
        if self._over or self._lost is not None:
            return self._close()
        self._close()
        if error is not None:
            error = as_plain_text(error)
            log.warning("%s failed: %s", self, error)
        try:
            step, fence = self._reached.reported, self._lease.fence
            self._client.tell(self.study, self.number, fence, metrics, state, step=step, error=error, retry=False)
        except (LeaseLost, TrialFinished) as refused:
            log.warning("The end of %s was not taken: %s", self, refused)
        return None

    def _close(self) -> None:
        self._over = True
        self._heartbeat.remove(self)
        if self._folder is not None:
            self._folder.delete()

    def __repr__(self) -> str:
        return f"trial {self.number} of {self.study}"
