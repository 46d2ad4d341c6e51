"""A server whose certificate cannot be used does not start, and says why in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from server.serving import serve
from server.settings import Settings
from server.tls import checked_files
from sturgeon.errors import SturgeonError
from tests.certificates import Certificates, certificates


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("good"))


def refused(cert: Path | None, key: Path | None) -> str:
    with pytest.raises(SturgeonError) as error:
        checked_files(cert, key)
    assert error.value.__cause__ is None
    return error.value.message


def test_a_certificate_and_its_key_are_taken_and_so_is_neither(good: Certificates) -> None:
    assert checked_files(good.cert, good.key) == (good.cert, good.key)
    assert checked_files(None, None) is None


def test_one_file_without_the_other_is_refused(good: Certificates) -> None:
    assert refused(good.cert, None).startswith("--tls-cert needs --tls-key as well")
    assert refused(None, good.key).startswith("--tls-key needs --tls-cert as well")


def test_files_that_cannot_be_read_are_refused(good: Certificates, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    assert refused(missing, good.key) == f"The TLS certificate {missing} cannot be read: No such file or directory."
    assert refused(good.cert, missing) == f"The TLS key {missing} cannot be read: No such file or directory."
    assert refused(tmp_path, good.key) == f"The TLS certificate {tmp_path} cannot be read: Is a directory."


def test_files_of_another_kind_are_refused(good: Certificates, tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty.pem", tmp_path / "cert.der"
    empty.touch()
    binary.write_bytes(bytes(range(256)))
    for file in (empty, binary, good.key):
        assert refused(file, good.key).endswith(
            f"{file} is not a TLS certificate in PEM form: it has no line `BEGIN CERTIFICATE`."
        )
        assert refused(good.cert, good.cert).endswith("is not a TLS key in PEM form: it has no line `PRIVATE KEY`.")


@pytest.mark.parametrize("which", ["cert", "key"])
def test_a_file_that_was_cut_short_is_refused(good: Certificates, tmp_path: Path, which: str) -> None:
    files = {"cert": good.cert, "key": good.key}
    cut = tmp_path / "cut.pem"
    cut.write_bytes(files[which].read_bytes()[:150])
    files[which] = cut
    assert "cannot be used: " in refused(files["cert"], files["key"])


def test_the_key_of_another_certificate_is_refused(good: Certificates, tmp_path: Path) -> None:
    other = certificates(tmp_path)
    said = refused(good.cert, other.key)
    assert said == f"The TLS key {other.key} is not the key of the certificate {good.cert}."


def test_an_encrypted_key_is_refused_and_nobody_is_asked(good: Certificates, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(good.key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a password"),
        )
    )
    assert refused(good.cert, locked).startswith(f"The TLS key {locked} is encrypted, and nobody is there to be asked")


def test_a_server_says_so_before_it_makes_anything(good: Certificates, tmp_path: Path) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'never.db'}", checkpoints=tmp_path / "never", tls_cert=good.cert
    )
    with pytest.raises(SturgeonError, match="--tls-cert needs --tls-key"):
        serve(settings)
    assert list(tmp_path.iterdir()) == []
