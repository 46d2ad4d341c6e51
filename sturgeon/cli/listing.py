"""All commands with the first paragraph of their help, so that `sturgeon --help` imports none of them.

A command is imported when it is called. `tests/cli/test_cli_listing.py` compares these lines with the commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Listing = Mapping[str, Mapping[str, str]]
"""For each module of sturgeon.cli, or `module:name` of a Typer in it, its commands in order, and their help."""

HIDDEN: Final = frozenset({"embedded-server"})

ROOT: Final[Listing] = {
    "tune": {
        "tune": "Search for the best parameters of a command, on a server and workers that are started here.",
    },
    "demo": {
        "demo": "Search 30 networks on handwritten digits, with a server and two workers on this machine.",
    },
    "operate": {
        "serve": "Run the server.",
        "migrate": "Upgrade the database to the schema of this version.",
        "worker": "Run a worker, which leases trials from the server and runs them until it is stopped.",
    },
    "backups": {
        "backup": "Copy the SQLite database; the server may be running. Checkpoints are files: copy their folder too.",
        "restore": "Make the SQLite database what a backup has; no server may run. Restore the folder of checkpoints, "
        "too.",
    },
    "workers": {
        "workers": "List the workers of this server.",
        "drain": "Let a worker finish what it runs, take nothing new, and end.",
    },
    "audit": {
        "audit": "Show what people and programs have changed, the newest first; not the work of workers.",
    },
    "data": {
        "data": "Show what the trainer would learn from a file: its columns, inputs, classes and parts; or say what "
        "is wrong.",
    },
    "predict": {
        "predict": "Predict the label or the values of each row with a stored model. JSON has the probabilities, too.",
    },
    "report": {
        "report": "Report metrics of the trial whose program calls this: sturgeon report --step 3 dev_loss=0.2.",
    },
    "embedded": {
        "embedded-server": "Serve the studies of a folder until nobody uses it any more.",
    },
    "importing": {
        "import": "Make a study of another tool's file, or bring the finished trials of an Optuna storage into a "
        "study.",
    },
    "status": {
        "status": "Say whether the server answers, and whether its database and its disk do.",
    },
    "fields": {
        "task-fields": "Print the fields of a train task: what a study may fix, search, or change while a model "
        "trains.",
        "schema": "Print the JSON schema of what a command prints with -o json, or list the commands that have one.",
    },
}

STUDY: Final[Listing] = {
    "studies": {
        "create": "Create a study from a YAML or JSON file.",
        "list": "List the studies.",
        "show": "Show a study: its state, counts, search space, and its best and recommended trial.",
        "pause": "Hand out no more trials until the study is resumed; running trials continue.",
        "resume": "Hand out trials again after a pause or a stop.",
        "stop": "Hand out no more trials; running trials finish.",
        "cancel": "End the study for good, and cancel its running trials.",
        "delete": "Delete a study with its trials and checkpoints.",
    },
    "budgets": {
        "budget": "Show or change a study's budget. A completed study becomes active again when its budget is raised.",
    },
    "explain": {
        "rounds": "Show the rounds of a coarse-to-fine search: important parameters, sampled boxes, ranges that seem "
        "too narrow.",
        "importance": "Show which parameters matter most for the metric.",
        "replay": "Draw every sample again from the record and compare; exit code 1 if one differs.",
    },
    "trials": {
        "best": "Show the best trials, with their metrics and parameters, and which one to take.",
        "trials": "List trials.",
    },
    "findings": {
        "dataset": "Show what a trial's data were read as: rows, columns, classes, parts, constant and dropped "
        "columns.",
        "diagnosis": "Show bias, variance and data mismatch of a trial's model, with advice on what to try next.",
        "errors": "Show the examples that a trial's model misclassifies, and the share of the error of each kind of "
        "mistake.",
        "events": "List the events of a study and its trials, the newest last.",
    },
    "spaces": {
        "preview": "Show what a space draws: its quantiles, the shares of its values, and examples. Nothing is "
        "created.",
        "space": "Replace the space of a study while it runs; results inside the new space stay in use.",
        "revisions": "List all spaces that a study has had; the last one is in force.",
    },
    "watch": {
        "watch": "Watch a study until it ends.",
    },
    "streaming": {
        "stream": "Print what changes of a study until it ends, or of all studies: a line each, or with -o json the "
        "events.",
    },
    "export": {
        "export": "Write all trials or all curves as a table, or the recommended model to a file.",
    },
    "records": {
        "compare": "Show trials of a study side by side: their results, and the parameters in which they differ.",
        "late-results": "List reports and results that came after their lease was lost. They are kept, and count for "
        "nothing.",
        "tag-errors": "Tag misclassified examples of a trial by hand; `study errors` then says what each tag costs.",
    },
    "plotting": {
        "plot": "Draw a picture of a study, or with --trial of a trial: sturgeon study plot digits history -o "
        "history.png.",
    },
    "study_report": {
        "report": "Write a report for a colleague: the question, the result with its noise, pictures, and how to do it "
        "again.",
    },
    "rows:of_study": {
        "overview": "Show all studies at a glance: how far each is, its best, and how it came to be.",
        "rows": "Show all trials with their parameters, a row each; or those that have changed since a cursor.",
        "curves": "Show the learning curves of many trials, one line each.",
    },
    "describing:of_study": {
        "describe": "Write tags, notes and the title of a study.",
    },
}

TRIAL: Final[Listing] = {
    "trial": {
        "show": "Show a trial: its state, parameters, result, error, and who holds it.",
        "log": "Print what a trial of your own code has printed, as far as it was kept.",
        "curve": "Show what a trial reported, step by step.",
        "checkpoints": "List the checkpoints that are kept of a trial.",
        "ask": "Take trials to run yourself: end each with `trial tell`, or give it back with `trial release`.",
        "tell": "Tell how a trial that you asked for has ended.",
        "enqueue": "Add a trial with parameters that you choose; it runs before new ones are drawn.",
        "release": "Give a trial back, to be run again; also one whose holder has crashed. No attempt is lost.",
        "cancel": "Cancel a trial at once, also one that runs.",
        "requeue": "Run a failed or cancelled trial again.",
        "invalidate": "Let a trial's result count for nothing from here on; the trial stays to be seen.",
    },
    "rows:of_trial": {
        "curves": "Show the curve of each metric of a trial, and what was changed while it ran.",
    },
    "describing:of_trial": {
        "describe": "Write tags and notes of a trial.",
    },
}

PANDA: Final[Listing] = {
    "panda": {
        "start": "Create a panda, a study with one trial to steer, from a YAML or JSON file.",
        "set": "Change parameters of a model while it trains.",
        "pause": "Save a checkpoint, stop training and free the slot.",
        "resume": "Continue where the trial was paused.",
        "stop": "End the trial after its current epoch, with a result.",
        "checkpoint": "Save a checkpoint that no rule deletes.",
        "rollback": "Go back to a checkpoint (the newest, or --step; 0 is the start) and continue, if wanted with "
        "other parameters.",
        "fork": "Continue from one checkpoint (the newest, or --step) in several branches.",
        "promote": "Continue a trial as a panda, from its best checkpoint (or --step).",
        "timeline": "Show all changes of a trial, and which trials it came from.",
    },
    "lineage": {
        "lineage": "List the trials of a lineage: forks and promoted trials, from the one at the root on.",
    },
    "proposals": {
        "proposals": "List what policies have proposed for a trial, and what became of it.",
        "accept": "Accept what a policy proposed.",
        "dismiss": "Reject what a policy proposed; the policy waits before it proposes again.",
    },
    "panda_watch": {
        "watch": "Watch one model train: its curve, its timeline, and what policies propose; until it ends.",
    },
    "replaying": {
        "replay": "Train a trial again from the very start, with its whole schedule, and compare all its checkpoints "
        "bit for bit.",
    },
}

WEBHOOK: Final[Listing] = {
    "webhooks": {
        "add": "Tell an address of what happens to studies. The secret that is printed is not shown again.",
        "list": "List the webhooks of this server.",
        "delete": "Tell an address nothing more, not even what waits.",
        "test": "Send a message that tells of nothing, and wait for what comes of it.",
        "deliveries": "List what an address was told within the last week, or is still to be told; the newest first.",
    },
}

TOKEN: Final[Listing] = {
    "tokens": {
        "create": "Make a token for a person, a program or a worker. It is printed once, and not shown again.",
        "list": "List the tokens of this server, and those that ended within the last 30 days.",
        "revoke": "Let nobody in by a token any more; all servers know it within 2 seconds.",
    },
}

GROUPS: Final[Mapping[str, tuple[str, Listing]]] = {
    "study": ("Create, watch and steer studies.", STUDY),
    "trial": ("Look at one trial, run one yourself, or take it out.", TRIAL),
    "panda": ("Steer one model while it trains, and branch from it.", PANDA),
    "webhook": ("Tell other programs of what happens to studies.", WEBHOOK),
    "token": ("Say who may use the server, and for what.", TOKEN),
}
