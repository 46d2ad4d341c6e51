"""`sturgeon task-fields | schema`: the fields of a train task, and the forms of what commands print as JSON."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.output import print_json, print_table, say
from sturgeon.cli.session import Session, formatted

commands = typer.Typer()


@commands.command("task-fields")
@formatted
def task_fields(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this field.")] = None,
) -> None:
    """Print the fields of a train task: what a study may fix, search, or change while a model trains."""
    fields = described()
    if name is not None:
        if name not in fields:
            raise WrongInput(f"A train task has no field {name}; `sturgeon task-fields` lists them.")
        fields = {name: fields[name]}
    if session.json:
        return print_json(fields)
    if name is not None:
        one = fields[name]
        say(f"{name}: {one['description']}. {one['type']}; by default {one['default']}; {one['use']}.")
        return None
    rows = [(field, one["type"], one["default"], one["use"], one["description"]) for field, one in fields.items()]
    print_table(("field", "type and range", "default", "use", "what"), rows, prose=("what", "type and range"))
    return None


@commands.command()
@formatted
def schema(
    session: Session,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]...", help="A command, as in `sturgeon schema study best`.")
    ] = None,
) -> None:
    """Print the JSON schema of what a command prints with -o json, or list the commands that have one."""
    from sturgeon.cli.forms import FORMS, LINES, schema

    known = {**FORMS, **LINES}
    if not command:
        listed = {name: schema(name).get("title", schema(name).get("type", "")) for name in sorted(known)}
        if session.json:
            return print_json(listed)
        rows = [(name, "an object in each line" if name in LINES else "", form) for name, form in listed.items()]
        return print_table(("command", "", "form"), rows)
    name = " ".join(command)
    if name not in known:
        raise WrongInput(f"`sturgeon {name}` prints no JSON; `sturgeon schema` lists the commands that do.")
    return print_json(schema(name))


def described() -> dict[str, dict[str, Any]]:
    """Name -> type with its range, default, use (fixed, searched or live) and description."""
    from sturgeon.training import TrainTask

    schema = TrainTask.model_json_schema()
    required = schema.get("required", [])
    return {
        name: {
            "type": _type(field),
            "default": "required" if name in required else field.get("default"),
            "use": ", ".join(use for use in ("searchable", "live") if field.get(use)) or "fixed",
            "description": field.get("description", ""),
        }
        for name, field in schema["properties"].items()
    }


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(one) for one in field["anyOf"]))
    if "const" in field:
        return str(field["const"])
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    name = {"number": "float", "integer": "int", "string": "text", "boolean": "true or false"}
    written = name.get(field.get("type", ""), str(field.get("type", "any")))
    bounds = [
        f"{sign} {field[key]:g}"
        for key, sign in (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<"))
        if key in field
    ]
    return f"{written} {', '.join(bounds)}" if bounds else written
