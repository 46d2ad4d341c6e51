"""The client of the server's HTTP interface."""

from sturgeon.client.client import Client

__all__ = ["Client"]
