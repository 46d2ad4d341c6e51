"""Certificates of an authority that nobody knows but the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Files of one authority: its own certificate, and that of a server with its key."""

    authority: Path
    cert: Path
    key: Path


def certificates(folder: Path, *names: str) -> Certificates:
    """Make an authority, and a certificate for these names and addresses."""
    made = trustme.CA()
    one = made.issue_cert(*(names or ("127.0.0.1", "localhost")))
    files = Certificates(folder / "authority.pem", folder / "cert.pem", folder / "key.pem")
    made.cert_pem.write_to_path(files.authority)
    files.cert.write_bytes(b"".join(part.bytes() for part in one.cert_chain_pems))
    files.key.write_bytes(one.private_key_pem.bytes())
    return files
