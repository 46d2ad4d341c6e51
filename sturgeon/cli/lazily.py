"""Groups whose commands are imported when they are called; until then a line of the listing stands for each."""

from __future__ import annotations

import copy
from importlib import import_module
from typing import Any, Self

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_command_name

from sturgeon.cli.help_pages import Command, draws_list, whole_choices
from sturgeon.cli.listing import HIDDEN, Listing


class Listed(TyperCommand):
    """What a list of commands shows of one that is not imported yet."""

    def __init__(self, name: str, help: str, where: str) -> None:
        super().__init__(name, help=help, hidden=name in HIDDEN)
        module, _, attribute = where.partition(":")
        self._module, self._attribute = f"{__package__}.{module}", attribute or "commands"

    def loaded(self) -> Any:
        """The command itself.

        Raises: LookupError (its module has no command of this name).
        """
        of_module: typer.Typer = getattr(import_module(self._module), self._attribute)
        for command in of_module.registered_commands:
            if self.name == (command.name or get_command_name(getattr(command.callback, "__name__", ""))):
                alone = typer.Typer(add_completion=False)
                alone.registered_commands.append(copy.copy(command))
                if not issubclass(command.cls or TyperCommand, Command):
                    alone.registered_commands[0].cls = Command
                return get_command(alone)
        raise LookupError(f"{self._module} has no command {self.name}")


class Group(TyperGroup):
    """A group of listed commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        if not draws_list(self, ctx, formatter):
            with whole_choices():
                super().format_help(ctx, formatter)

    def listing(self, commands: Listing) -> Self:
        """This group, with these commands as well."""
        for where, helps in commands.items():
            for name, summary in helps.items():
                self.add_command(Listed(name, summary, where))
        return self

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is called, imported."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.loaded() if isinstance(command, Listed) else command, rest
