"""`sturgeon report`: for the program that a worker runs."""

from __future__ import annotations

import typer

commands = typer.Typer()


@commands.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def report(context: typer.Context) -> None:
    """Report metrics of the trial whose program calls this: sturgeon report --step 3 dev_loss=0.2."""
    from sturgeon.trial_process import report_command

    before = ["-o", "json"] if context.obj.json else []
    raise typer.Exit(report_command([*before, *context.args]))
