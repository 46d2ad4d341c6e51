"""The arguments of a program, with a trial's parameters in the places that name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sturgeon.placeholders import Placeholder, names_in, parts_of
from worker.child.protocol import Job
from worker.own.environment import as_text


def values_for(job: Job, environment: Mapping[str, str]) -> dict[str, object]:
    """What placeholders can name beside the parameters."""
    return {
        "trial.number": job.number,
        "trial.seed": job.seed,
        "checkpoint": environment.get("STURGEON_CHECKPOINT", ""),
        "params_file": environment.get("STURGEON_PARAMS_FILE", ""),
    }


def filled(argv: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """The arguments with `{name}` replaced by a value.

    The server has checked all names: one without a value is a conditional parameter that this trial does not have. An
    argument that holds such a name is left out; if it holds nothing else, a flag right before it is, too.
    """
    given: list[str] = []
    for argument in argv:
        parts = parts_of(argument)
        if all(name in values for name in names_in(argument)):
            texts = [as_text(values[part.name]) if isinstance(part, Placeholder) else part for part in parts]
            given.append("".join(texts))
        elif len(parts) == 1 and given and _is_flag(given[-1]):
            given.pop()
    return given


def _is_flag(argument: str) -> bool:
    return argument.startswith("-") and "=" not in argument and argument not in ("-", "--")
