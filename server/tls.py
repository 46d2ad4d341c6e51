"""The certificate of a server that speaks TLS itself: whether its files can be used is said before it listens."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final, NoReturn

from sturgeon.errors import SturgeonError

LOWEST: Final = ssl.TLSVersion.TLSv1_2


def checked_files(cert: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """The certificate, with the chain that leads to its authority, and its key; None if neither is given.

    Raises: SturgeonError (one alone is given, a file cannot be read or is of another kind, the key is encrypted or of
    another certificate).
    """
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        given, missing = ("--tls-cert", "--tls-key") if key is None else ("--tls-key", "--tls-cert")
        raise SturgeonError(f"{given} needs {missing} as well: a server speaks TLS with a certificate and its key.")
    _require(cert, "certificate", "BEGIN CERTIFICATE")
    _require(key, "key", "PRIVATE KEY")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, lambda: _encrypted(key))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise SturgeonError(f"The TLS key {key} is not the key of the certificate {cert}.") from None
        why = (error.reason or "").replace("_", " ").lower() or "they cannot be read"
        raise SturgeonError(f"The TLS certificate {cert} and the key {key} cannot be used: {why}.") from None
    return cert, key


def _encrypted(key: Path) -> NoReturn:
    raise SturgeonError(
        f"The TLS key {key} is encrypted, and nobody is there to be asked for its password: decrypt it with "
        "`openssl pkey` into a file that the server alone can read."
    )


def _require(file: Path, what: str, mark: str) -> None:
    try:
        text = file.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise SturgeonError(f"The TLS {what} {file} cannot be read: {error.strerror}.") from None
    if mark not in text:
        raise SturgeonError(f"{file} is not a TLS {what} in PEM form: it has no line `{mark}`.")
