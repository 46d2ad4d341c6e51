"""Sturgeon, a self-hosted hyperparameter search service: what users import."""

from typing import TYPE_CHECKING

from sturgeon import errors

if TYPE_CHECKING:
    from sturgeon.client import Client

__all__ = ["Client", "__version__", "errors"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`sturgeon.Client`, imported when it is first used: `sturgeon --help` does not wait for HTTP and pydantic."""
    if name == "Client":
        from sturgeon.client import Client

        return Client
    raise AttributeError(f"module 'sturgeon' has no attribute {name!r}")
