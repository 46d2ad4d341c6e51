"""The tables. Times are microseconds since 1970 UTC; Columns that no query filters by may be JSON."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from server.store.change_numbers import ChangeNumber
from sturgeon.states import TERMINAL

metadata: Final = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite numbers rows by itself in an INTEGER key only. Where clients or caches keep an id, AUTOINCREMENT keeps SQLite
# from giving that of a deleted row to the next one, as PostgreSQL never does.
_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _study_id() -> sa.Column[int]:
    return sa.Column("study_id", _Key, sa.ForeignKey("studies.id", ondelete="CASCADE"), nullable=False)


def _trial_id() -> sa.Column[int]:
    return sa.Column("trial_id", _Key, sa.ForeignKey("trials.id", ondelete="CASCADE"), nullable=False)


def _changed() -> sa.Column[int]:
    """The number of the transaction that last wrote the row, see `change_numbers.py`. Each INSERT and UPDATE sets it by
    itself, so none can forget to."""
    number = ChangeNumber()
    return sa.Column("changed", sa.BigInteger, nullable=False, server_default="0", default=number, onupdate=number)


# Of SQLite, one row: the number of the last transaction that has changed anything.
change_count: Final = sa.Table(
    "change_count",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", "one_row"),
)

studies: Final = sa.Table(
    "studies",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("direction", sa.Text, nullable=False),
    sa.Column("reduce", sa.Text, nullable=False),
    sa.Column("space", sa.JSON, nullable=False),
    sa.Column("constraints", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("sampler", sa.Text, nullable=False),
    sa.Column("sampler_options", sa.JSON, nullable=False, server_default="{}"),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("pruning", sa.JSON, nullable=False),
    sa.Column("max_trials", sa.Integer, nullable=False),
    sa.Column("replicates", sa.Integer, nullable=False, server_default="1"),  # trials of each drawn point
    sa.Column("limits", sa.JSON(none_as_null=True)),  # of the budget: all but max_trials
    sa.Column("spent", sa.Text),  # the limit that is reached; then nothing more is handed out
    sa.Column("task", sa.JSON(none_as_null=True)),
    sa.Column("task_kind", sa.Text),  # that of `task`; null with it
    sa.Column("needs", sa.JSON(none_as_null=True)),  # of a worker; null: nothing but a slot
    sa.Column("policies", sa.JSON, nullable=False, server_default="[]"),
    # The study's sequence: raised, and so locked, first in each transaction that changes what a sampler may see.
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("next_number", sa.Integer, nullable=False),
    # Fences and versions up to these were given before the study was created (store/floors.py).
    sa.Column("fence_floor", sa.Integer, nullable=False, server_default="0"),
    sa.Column("version_floor", sa.Integer, nullable=False, server_default="0"),
    # The study that `start_from` named when this one was created; it may have been deleted since.
    sa.Column("source_study_id", sa.BigInteger),
    # What people write of it, and the code and the data that it began with.
    sa.Column("tags", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("notes", sa.Text, nullable=False, server_default=""),
    sa.Column("code_version", sa.JSON(none_as_null=True)),
    sa.Column("data_version", sa.JSON(none_as_null=True)),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    _changed(),
    sa.Index(None, "state"),
    sqlite_autoincrement=True,
)

# One row: fences and versions that are not higher may have been given already.
floors: Final = sa.Table(
    "floors",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),  # when the database was first used
)

# How steady time differs from the database's clock; no row until that was put forward or back.
steady_clock: Final = sa.Table(
    "steady_clock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("steps", sa.BigInteger, nullable=False),
    sa.Column("offset_us", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", "one_row"),
)

# Every space that a study had. `added` is what older trials count as having of the parameters new in this one.
space_revisions: Final = sa.Table(
    "space_revisions",
    metadata,
    sa.Column("study_id", _Key, sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("space", sa.JSON, nullable=False),
    sa.Column("constraints", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("added", sa.JSON, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

_ENDED: Final = f"state IN ({', '.join(repr(state) for state in TERMINAL)})"

# What the indexes of the best trials and of the results have: queries name it as it is written here, so that SQLite
# sees that an index holds all they ask for.
IS_QUEUED: Final = sa.text("trials.state = 'queued'")
IS_BEST: Final = sa.text("trials.state = 'complete' AND trials.invalid_reason IS NULL AND trials.value IS NOT NULL")
IS_PRUNED: Final = sa.text(
    "trials.state = 'pruned' AND trials.invalid_reason IS NULL AND trials.predicted_value IS NOT NULL"
)
IS_RESULT: Final = sa.text(
    "trials.state IN ('complete', 'pruned', 'diverged') AND trials.mode = 'caviar' "
    "AND trials.live_overrides IS NULL AND trials.invalid_seq IS NULL"
)


def _partial(name: str, where: sa.TextClause | str, *columns: str) -> sa.Index:
    condition = sa.text(str(where).replace("trials.", ""))
    return sa.Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


trials: Final = sa.Table(
    "trials",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    _study_id(),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("point", sa.JSON, nullable=False),  # the trial's u, one number in [0, 1] a searched parameter
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("lease_until", sa.BigInteger),  # null: its last holder cannot come back
    sa.Column("lease_us", sa.BigInteger),
    # Of own code: the first run whose reports count, since it began from the start; null: all count.
    sa.Column("begun_fence", sa.Integer),
    sa.Column("reported", sa.Boolean, nullable=False),  # a report has come since the last hand-out
    sa.Column("unstackable", sa.Boolean, nullable=False),  # it is handed out without stack peers
    sa.Column("worker", sa.Text),
    # Whose the last lease is, see `server/actors.py`: the name of a token, or empty. Null: never, or before 0018.
    sa.Column("leased_to", sa.Text),
    sa.Column("value", sa.Double),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("step", sa.BigInteger),
    sa.Column("location", sa.Text),
    sa.Column("error", sa.Text),
    # How the parameters were drawn: replay draws them again from these.
    sa.Column("sampler", sa.Text),
    sa.Column("basis_seq", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("drawn", sa.JSON, nullable=False),
    sa.Column("group_number", sa.Integer),  # of the first trial with the same parameters; null: without replicates
    sa.Column("numerics", sa.Text),  # a fingerprint; null for parameters that a person gave
    sa.Column("left_seq", sa.BigInteger),
    # The desired state, a messages.Desired; null before the first change (services/runs/desired_state.py).
    sa.Column("desired", sa.JSON(none_as_null=True)),
    sa.Column("applied_version", sa.Integer),
    sa.Column("applied_step", sa.BigInteger),
    sa.Column("predicted_value", sa.Double),  # of a pruned trial: what the search takes its final score to be
    sa.Column("best_score", sa.Double),  # the best that it has reported; less is better
    # The furthest epoch that its present rollback generation has reached; own code: since its hand-out.
    sa.Column("run_epoch", sa.Double),
    # What all its runs have used; the time is that from each hand-out to the last message of the lease's holder.
    sa.Column("spent_epochs", sa.Double, nullable=False, server_default="0"),
    sa.Column("spent_us", sa.BigInteger, nullable=False, server_default="0"),
    # Live parameters that are in force instead of those of `params`; null: no change was ever applied.
    sa.Column("live_overrides", sa.JSON(none_as_null=True)),
    # Of a branch: how the model that it began with was trained, a timelines.Origin.
    sa.Column("origin", sa.JSON(none_as_null=True)),
    sa.Column("parent_number", sa.Integer),
    sa.Column("parent_step", sa.BigInteger),
    sa.Column("invalid_reason", sa.Text),
    sa.Column("invalid_at", sa.BigInteger),
    sa.Column("invalid_seq", sa.BigInteger),
    # What people write of it, and the code and the data of its last run.
    sa.Column("tags", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("notes", sa.Text, nullable=False, server_default=""),
    sa.Column("code_version", sa.JSON(none_as_null=True)),
    sa.Column("data_version", sa.JSON(none_as_null=True)),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.BigInteger),
    sa.Column("finished_at", sa.BigInteger),
    _changed(),
    sa.UniqueConstraint("study_id", "number"),
    # Rows that no service may write, whatever mistake it makes.
    sa.CheckConstraint(f"state IN ('queued', 'running', 'paused') OR {_ENDED}", "state_known"),
    sa.CheckConstraint("state <> 'running' OR (lease_until IS NOT NULL AND lease_us IS NOT NULL)", "running_is_leased"),
    sa.CheckConstraint(f"({_ENDED}) = (left_seq IS NOT NULL)", "ended_left"),
    sa.CheckConstraint(f"({_ENDED}) = (finished_at IS NOT NULL)", "ended_finished"),
    sa.CheckConstraint("state <> 'cancelled' OR lease_until IS NULL", "cancelled_is_not_leased"),
    sa.CheckConstraint("fence >= 0", "fence_counts_up"),
    sa.Index(None, "study_id", "left_seq"),
    sa.Index(None, "state", "study_id", "number"),
    sa.Index(None, "worker"),
    sa.Index(None, "changed", "study_id"),
    # For the least study with a queued trial. PostgreSQL may think it dearer to find it in the index above than to go
    # through all trials, study by study, until one is queued.
    _partial("ix_trials_queued", IS_QUEUED, "study_id", "number"),
    _partial("ix_trials_best", IS_BEST, "study_id", "value", "number"),
    _partial("ix_trials_pruned", IS_PRUNED, "study_id", "predicted_value", "number"),
    _partial("ix_trials_results", IS_RESULT, "study_id", "left_seq"),
    _partial("ix_trials_invalid", "invalid_seq IS NOT NULL", "study_id", "invalid_seq"),
)

# The times in which samplers do not see a trial: between its end (failed, cancelled) and its return to the queue.
requeue_gaps: Final = sa.Table(
    "requeue_gaps",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    _trial_id(),
    sa.Column("left_seq", sa.BigInteger, nullable=False),
    sa.Column("back_seq", sa.BigInteger, nullable=False),
    sa.Index(None, "trial_id"),
)

reports: Final = sa.Table(
    "reports",
    metadata,
    sa.Column("trial_id", _Key, sa.ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("fence", sa.Integer, primary_key=True),  # a run that starts again reports its steps again
    # A run that went back reports its steps again, too.
    sa.Column("rollback_generation", sa.Integer, primary_key=True, server_default="0"),
    sa.Column("step", sa.BigInteger, primary_key=True),
    sa.Column("epoch", sa.Double),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

# Where the runs of a trial began that were not its first: the reports of earlier runs count up to this step.
run_starts: Final = sa.Table(
    "run_starts",
    metadata,
    sa.Column("trial_id", _Key, sa.ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("fence", sa.Integer, primary_key=True),
    sa.Column("step", sa.BigInteger, nullable=False),
)

# How good a trial was when a pruning rule looked at it for an epoch: its best score so far, less is better; null when
# none was finite.
rung_scores: Final = sa.Table(
    "rung_scores",
    metadata,
    sa.Column("study_id", _Key, sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("epoch", sa.BigInteger, primary_key=True),
    sa.Column("trial_id", _Key, sa.ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("score", sa.Double),
)

# The changes of a trial, one row for each version of its desired state. Only state, steps and times of a row change.
timeline: Final = sa.Table(
    "timeline",
    metadata,
    sa.Column("trial_id", _Key, sa.ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("restore", sa.BigInteger),  # of a rollback: the step of its checkpoint
    sa.Column("base", sa.Integer),  # of a rollback: the version that was in force in its checkpoint
    sa.Column("checkpoint", sa.BigInteger),  # the step of the checkpoint from before this version
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("actor_token", sa.BigInteger),  # the id of the token that had this name then
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("guard", sa.JSON(none_as_null=True)),
    sa.Column("watching", sa.Boolean, nullable=False),  # the guard has not decided yet
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("from_step", sa.BigInteger),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("applied_at", sa.BigInteger),
)

# The reports of a trial's curve that rules hold on to, such as the last with an alarm, and how far they have read.
# Without such a row the curve is read again from its start, with the same result.
curve_marks: Final = sa.Table(
    "curve_marks",
    metadata,
    sa.Column("trial_id", _Key, sa.ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("rollback_generation", sa.Integer, nullable=False),
    sa.Column("rollback", sa.Integer),  # the version of the newest applied one; null: the trial was never steered
    sa.Column("step", sa.BigInteger, nullable=False),  # the last that was read
    sa.Column("points", sa.JSON, nullable=False),  # by rule: step, epoch and metrics, or null
)

# What a policy would change; a person accepts or dismisses it.
proposals: Final = sa.Table(
    "proposals",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    _trial_id(),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("restore", sa.BigInteger),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("step", sa.BigInteger),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("version", sa.Integer),  # of the timeline, when it was accepted
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Index(None, "trial_id"),
    sqlite_autoincrement=True,
)

late_results: Final = sa.Table(
    "late_results",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    _study_id(),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False, server_default="0"),  # of the body, in bytes
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text),
    sa.Column("actor_token", sa.BigInteger),
    sa.Index(None, "study_id", "id"),
    sqlite_autoincrement=True,
)

checkpoints: Final = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    _trial_id(),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.Double),
    sa.Column("value", sa.Double),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),  # the version in force in it
    sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()),  # no rule drops it
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("lost_at", sa.BigInteger),  # when it was noticed that its file is gone or damaged
    sa.UniqueConstraint("trial_id", "step"),
    sa.Index(None, "sha256"),
)

# What a run has found out about its model: `diagnosis`, `errors`, and the `tags` that people gave to its errors.
findings: Final = sa.Table(
    "findings",
    metadata,
    sa.Column("trial_id", _Key, sa.ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

# What the last bits of a draw depend on; one row for all draws that share it.
numerics: Final = sa.Table(
    "numerics",
    metadata,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("facts", sa.JSON, nullable=False),
)

# What coarse to fine derived from the results when a round began. A stored round never changes.
rounds: Final = sa.Table(
    "rounds",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    _study_id(),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("learnt_from", sa.Text, nullable=False),  # the hash of the results that the round began with
    sa.Column("seq", sa.BigInteger, nullable=False, server_default="0"),  # when it first drew, or was first seen
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("numerics", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("study_id", "revision", "number", "learnt_from"),
)

events: Final = sa.Table(
    "events",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    _study_id(),
    sa.Column("number", sa.Integer),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text),  # see `server/actors.py`; null: from before 0018
    sa.Column("actor_token", sa.BigInteger),
    _changed(),
    sa.Index(None, "study_id", "id"),
    sa.Index(None, "study_id", "kind", "id"),
    sqlite_autoincrement=True,
)

workers: Final = sa.Table(
    "workers",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("slots", sa.Integer, nullable=False),
    sa.Column("drain", sa.Boolean, nullable=False),
    sa.Column("offer", sa.JSON(none_as_null=True)),  # what it has in all, a placement.Offer; null: it has not said
    sa.Column("first_seen_at", sa.BigInteger, nullable=False),
    sa.Column("last_seen_at", sa.BigInteger, nullable=False),
)

# The workers that gave a trial of a study back, since they cannot run it.
unable: Final = sa.Table(
    "unable",
    metadata,
    sa.Column("study_id", _Key, sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("worker", sa.Text, primary_key=True, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

# What a run of a trial printed, compressed: of the newest run and of the one before it.
trial_logs: Final = sa.Table(
    "trial_logs",
    metadata,
    sa.Column("trial_id", _Key, sa.ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("fence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),  # of the body, in bytes
    sa.Column("at", sa.BigInteger, nullable=False),
)

# Whom servers tell of what happens. `free_at`: from when on a server may deliver, in steady time. `failures`: how often
# that failed in a row.
webhooks: Final = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("study_id", _Key, sa.ForeignKey("studies.id", ondelete="CASCADE")),  # null: all studies
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("events", sa.JSON, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("free_at", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Index(None, "study_id"),
    sqlite_autoincrement=True,
)

# The outbox: written with the event that it tells of, in one transaction. `due_at` and `since` are in steady time.
deliveries: Final = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("webhook_id", _Key, sa.ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    sa.Column("message_id", sa.Text, nullable=False, unique=True),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),  # to the byte: it is signed
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("status", sa.Integer),  # of the last answer
    sa.Column("error", sa.Text),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.CheckConstraint("state IN ('waiting', 'delivered', 'given_up')", "state_known"),
    sa.Index(None, "webhook_id", "state", "due_at"),
    sqlite_autoincrement=True,
)

# The recommended trial that webhooks were told last, and the study's sequence number at which it was looked for. A
# number that is null: there was a webhook before there was a look.
told_best: Final = sa.Table(
    "told_best",
    metadata,
    sa.Column("study_id", _Key, sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("number", sa.Integer),
)

# What the trials come to that had ended at a number of the study's sequence, where those are many (store/amounts.py).
ended_sums: Final = sa.Table(
    "ended_sums",
    metadata,
    sa.Column("study_id", _Key, sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("amounts", sa.JSON, nullable=False),
)

# Who may use a server that has the shared token: see `services/tokens`. All times are those of the wall clock.
tokens: Final = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("sha256", sa.Text, nullable=False, unique=True),  # of the token, which itself is kept nowhere
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.BigInteger),
    sa.Column("last_used_at", sa.BigInteger),
    sa.Column("studies", sa.JSON(none_as_null=True)),  # prefixes of the names of those that it is for; null: all
    sqlite_autoincrement=True,
)

# Who has changed what: one row for each request of a person or a program that has had an effect, but for the work of
# workers. Names, not references: what a row tells of may be gone.
audit: Final = sa.Table(
    "audit",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("actor_token", sa.BigInteger),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("study", sa.Text),
    sa.Column("trial", sa.Integer),
    sa.Column("target", sa.Text),  # another thing: a token, a webhook, a worker, a proposal
    sa.Column("detail", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)

idempotency_keys: Final = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("request_sha256", sa.Text, nullable=False),
    # The study that the request was for, or that it has created: a key is forgotten with its study.
    sa.Column("study_id", _Key, sa.ForeignKey("studies.id", ondelete="CASCADE"), index=True),
    sa.Column("answer", sa.JSON, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Index(None, "at"),
)
