"""The settings of a server: STURGEON_* in the environment, or the options of `sturgeon serve`."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from sturgeon.errors import SturgeonError
from sturgeon.logs import LogFormat, LogLevel

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(BaseSettings):
    """Every setting has a default that suits one person on one machine. An empty variable counts as not set: as a path
    it would be the folder `.`."""

    model_config = SettingsConfigDict(env_prefix="STURGEON_", env_ignore_empty=True, extra="ignore")

    database_url: str = Field(
        "sqlite:///sturgeon.db", description="sqlite:///FILE or postgresql://USER@HOST/NAME", repr=False
    )
    database_password_file: Path | None = Field(None, description="A file with the database user's password.")
    checkpoints: Path = Field(Path("sturgeon-checkpoints"), description="The folder that keeps checkpoints.")
    host: str = Field("127.0.0.1", description="The address to listen on; another than loopback needs a token.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="The port to listen on.")
    tls_cert: Path | None = Field(None, description="The certificate for https, a PEM file with its chain.")
    tls_key: Path | None = Field(None, description="The key of the certificate, a PEM file without a password.")
    token: SecretStr | None = Field(None, description="The shared bearer token.")
    token_file: Path | None = Field(None, description="A file with the shared bearer token.")
    max_wrong_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        30, description="Wrong tokens that an address may send in a minute."
    )
    trusted_proxies: str = Field(
        "", description="Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: 127.0.0.1, 10.0.0.0/8."
    )
    allowed_hosts: str = Field("", description="Further names of a server without a token, such as a proxy's: A,B.")
    webhook_networks: str = Field(
        "", description="Networks that webhooks may reach although they are not public: 10.0.0.0/8, 127.0.0.1."
    )
    lease_s: Annotated[float, Field(ge=0.5, le=3600)] = Field(30.0, description="A worker's lease, in seconds.")
    reap_every_s: Annotated[float, Field(gt=0, le=600)] = Field(
        5.0, description="Seconds between two searches for expired leases."
    )
    max_attempts: Annotated[int, Field(ge=1, le=100)] = Field(3, description="Attempts before a trial is failed.")
    threads: Annotated[int, Field(ge=1, le=1000)] = Field(
        40, description="Requests that are worked on at once; the database gets 17 connections more."
    )
    client_patience_s: Annotated[float, Field(ge=0.05, le=3600)] = Field(
        30.0, description="Seconds after which a client that neither sends nor reads is dropped."
    )
    longest_wait_s: Annotated[float, Field(ge=0, le=30)] = Field(
        8.0, description="Seconds after which a request that waits for work is answered, however long it would wait."
    )
    max_body_mb: Annotated[float, Field(gt=0, le=10_000)] = Field(8.0, description="The largest JSON body, in MB.")
    max_checkpoint_mb: Annotated[float, Field(gt=0, le=100_000)] = Field(
        512.0, description="The largest checkpoint, in MB."
    )
    max_late_results: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        1000, description="How many late results a study keeps; of more, the oldest are deleted."
    )
    max_late_results_mb: Annotated[float, Field(ge=0, le=10_000)] = Field(
        16.0, description="How much a study's late results may take, in MB; of more, the oldest are deleted."
    )
    max_events: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        100_000, description="How many events a study keeps; of more, the oldest are deleted."
    )
    max_logs_mb: Annotated[float, Field(ge=0, le=1_000_000)] = Field(
        1000.0, description="How much the logs of a study's trials may take, in MB; of more, the oldest are deleted."
    )
    max_study_mb: Annotated[float, Field(gt=0, le=1_000_000_000)] = Field(
        100_000.0, description="How much a study's checkpoints may take, in MB; what would exceed it is refused."
    )

    log_level: LogLevel = Field("info", description="The lowest level that is logged.")
    log_format: LogFormat | None = Field(
        None, description="json, or console for people; by default console where standard error is a terminal."
    )
    request_log: bool = Field(False, description="Log each request, not only those that fail here or take long.")

    traces: bool = Field(False, description="Make traces for OpenTelemetry; its OTEL_* variables say where they go.")

    def shared_token(self) -> str | None:
        """The token from the setting or its file; None when there is none.

        Raises: SturgeonError (the file cannot be read or is empty, both are given, or a header cannot carry the token).
        """
        if self.token_file is not None and self.token is not None:
            raise SturgeonError("Give the token or the token file, not both.")
        setting = self.token.get_secret_value() if self.token else None
        token = _secret(self.token_file, "token") if self.token_file else setting
        if token and not re.fullmatch(r"[\x21-\x7e]+", token):
            raise SturgeonError("The token must be one word of ASCII characters.")
        return token or None

    def names(self) -> frozenset[str]:
        """Names by which a server without a token may be asked, besides those of the loopback."""
        given = (name.strip().rstrip(".").lower() for name in self.allowed_hosts.split(","))
        return frozenset(name for name in given if name)

    def proxies(self) -> list[str]:
        """The addresses and networks of trusted proxies. Raises: SturgeonError (something else is among them)."""
        try:
            given = [one.strip() for one in self.trusted_proxies.split(",")]
            return [str(ip_network(one, strict=False)) for one in given if one]
        except ValueError as error:
            raise SturgeonError(
                f"STURGEON_TRUSTED_PROXIES: {error}; write addresses and networks such as 127.0.0.1, 10.0.0.0/8."
            ) from None

    def database_address(self) -> str:
        """The database's URL, with the password from its file where there is one.

        Raises: SturgeonError (the file cannot be read or is empty).
        """
        if self.database_password_file is None:
            return self.database_url
        parts = urlsplit(self.database_url)
        password = quote(_secret(self.database_password_file, "database password"), safe="")
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{parts.username or 'postgres'}:{password}@{host}"))


def _secret(file: Path, what: str) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SturgeonError(f"The {what} file {file} cannot be read: {error}.") from None
    if not text:
        raise SturgeonError(f"The {what} file {file} is empty.")
    return text
