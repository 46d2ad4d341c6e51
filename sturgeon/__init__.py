"""Sturgeon, a self-hosted hyperparameter search service: what users import."""

from sturgeon import errors
from sturgeon.client import Client

__all__ = ["Client", "__version__", "errors"]

__version__ = "0.1.0"
