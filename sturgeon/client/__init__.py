"""The client of the server's HTTP interface."""

from sturgeon.client.routes import Client

__all__ = ["Client"]
