"""What `sturgeon tune` ends with: the best parameters, as a command line to copy."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sturgeon.cli.output import metric, print_json, say
from sturgeon.cli.session import Session
from sturgeon.cli.tune_plans import Plan
from sturgeon.errors import SturgeonError
from sturgeon.placeholders import as_text, filled, names_in, variable_name

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.messages import BestTrial


def best_command(argv: Sequence[str], params: Mapping[str, object], seed: int = 0, number: int = 0) -> list[str]:
    """The command with these parameters, to be run by hand; with `env` where it reads them from its environment."""
    values = {"trial.number": number, "trial.seed": seed, "checkpoint": "checkpoint", "params_file": "params.json"}
    command = filled(argv, values | dict(params))
    used = {name for argument in argv for name in names_in(argument)}
    if used.intersection(params) or "params_file" in used:
        return command
    variables = {f"STURGEON_PARAM_{variable_name(name)}": as_text(value) for name, value in params.items()}
    variables["STURGEON_PARAMS"] = json.dumps(dict(params))
    return ["env", *(f"{name}={value}" for name, value in variables.items()), *command]


def print_result(session: Session, client: Client, plan: Plan) -> None:
    """Print the recommended trial. Raises: SturgeonError (no trial has a result)."""
    study, best = client.study(plan.name), client.best(plan.name)
    if (winner := best.winner) is None:
        raise SturgeonError(f"No trial of {plan.name} has a result; `sturgeon study trials {plan.name}` shows them.")
    seed = client.trial(plan.name, winner.number).seed
    command = shlex.join(best_command(plan.argv, winner.params, seed, winner.number)) if plan.argv else None
    if session.json:
        answer = best.model_dump(mode="json")
        return print_json(
            {"study": plan.name, "best": answer["items"], "recommended": answer["recommended"], "command": command}
        )
    say(f"\n{_sentence(winner, metric(study, study.metric, winner.value), study.metric)}")
    if command is not None:
        say(f"\n  {command}\n")
    else:
        say("\n" + "\n".join(f"  {name} = {as_text(value)}" for name, value in winner.params.items()) + "\n")
    return None


def _sentence(winner: BestTrial, value: str, name: str) -> str:
    why = getattr(winner, "why", "") or f"Trial {winner.number} is the best."
    return f"{why} It has {name} {value}."
