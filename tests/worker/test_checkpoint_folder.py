"""A checkpoint folder as one file: the same bytes for the same folder, and none outside of it when it is unpacked."""

from __future__ import annotations

import io
import os
import shutil
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sturgeon.packed_folder import Damaged, NotPacked, pack, unpack

MOST = 1_000_000


def made(folder: Path) -> Path:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"\0\1" * 1000)
    (folder / "deep" / "a b ü.json").write_text("{}")
    (folder / "deep" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "deep" / "run.sh").chmod(0o755)
    (folder / "last").symlink_to("weights.bin")
    return folder


def contents(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        about = path.lstat()
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))  # noqa: PTH115
        elif path.is_file():
            found[name] = (path.read_bytes(), about.st_mode & 0o111, round(about.st_mtime, 3))
        else:
            found[name] = "folder"
    return found


def test_a_folder_comes_back_as_it_was_with_its_times_and_what_is_to_be_remembered(tmp_path: Path) -> None:
    folder = made(tmp_path / "one")
    os.utime(folder / "weights.bin", ns=(10**18, 10**18 + 123_400_000))

    assert pack(folder, tmp_path / "a.tar", {"step": 3}, MOST)
    other = tmp_path / "other"
    other.mkdir()
    (other / "old").write_text("is gone")
    memory = unpack((tmp_path / "a.tar").read_bytes(), other)

    assert memory == {"step": 3}
    assert contents(other) == contents(folder)
    assert pack(other, tmp_path / "b.tar", {"step": 3}, MOST)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_sockets_and_pipes_in_a_folder_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(tmp_path / "one")
    before = contents(folder)
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        assert pack(folder, tmp_path / "a.tar", {}, MOST)

    unpack((tmp_path / "a.tar").read_bytes(), tmp_path / "other")

    assert contents(tmp_path / "other") == before


def test_a_folder_that_is_too_large_or_that_changed_is_not_packed(tmp_path: Path) -> None:
    folder = made(tmp_path / "one")

    with pytest.raises(NotPacked, match="0 MB, more than 0 MB"):
        pack(folder, tmp_path / "a.tar", {}, 100)
    assert not pack(folder, tmp_path / "a.tar", {}, MOST, state="of another time")


def test_a_link_with_an_absolute_path_leads_to_the_same_file_elsewhere(tmp_path: Path) -> None:
    folder = made(tmp_path / "one")
    (folder / "deep" / "newest").symlink_to(folder / "weights.bin")
    assert pack(folder, tmp_path / "a.tar", {}, MOST)
    shutil.rmtree(folder)

    unpack((tmp_path / "a.tar").read_bytes(), tmp_path / "other")

    assert (tmp_path / "other" / "deep" / "newest").read_bytes() == b"\0\1" * 1000


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "deep/../../outside"])
def test_a_folder_with_a_link_that_leads_out_of_it_is_not_packed(tmp_path: Path, target: str) -> None:
    folder = made(tmp_path / "one")
    (folder / "out").symlink_to(target)

    with pytest.raises(NotPacked, match="the link out leads out of the checkpoint folder"):
        pack(folder, tmp_path / "a.tar", {}, MOST)


def member(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def archive(*members: tarfile.TarInfo) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed:
        for one in members:
            packed.addfile(one, io.BytesIO(b"x" * one.size) if one.isreg() else None)
    return file.getvalue()


def gigantic() -> bytes:
    """A sparse file of 1 TB, in 1 kB."""
    info = tarfile.TarInfo("big")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[386:410] = b"00000000000\0" + b"00000001000\0"
    block[483:495] = (2**40).to_bytes(12, "big")
    block[483] |= 0x80
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block) + b"x" * 512 + bytes(1024)


def remembering(memory: str) -> bytes:
    """A folder whose memory is this text."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        about = tarfile.TarInfo(".sturgeon.json")
        about.size = len(memory)
        archive.addfile(about, io.BytesIO(memory.encode()))
    return packed.getvalue()


LINK, HARD, DEVICE = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\3\4 this is no tar",
        archive(member("a", size=5000))[:2000],
        archive(member("../evil", size=3)),
        archive(member("deep/../../evil", size=3)),
        archive(member("link", type=LINK, linkname="/etc"), member("link/evil", size=3)),
        archive(member("link", type=LINK, linkname="../.."), member("link/evil", size=3)),
        archive(member("hard", type=HARD, linkname="../outside")),
        archive(member("link", type=LINK, linkname="../../outside"), member("link", size=3)),
        archive(member("a", size=3), member("a", type=LINK, linkname="b"), member("a", size=3)),
        archive(member("loop", type=LINK, linkname="loop"), member("loop/evil", size=3)),
        archive(member("in", type=LINK, linkname="."), member("in/out", type=LINK, linkname="../outside")),
        archive(member("out", type=LINK, linkname="x/../../outside"), member("x", type=LINK, linkname=".")),
        archive(member("out", type=LINK, linkname="x/../outside"), member("x", type=LINK, linkname=".")),
        archive(member("pipe", type=tarfile.FIFOTYPE)),
        archive(member("late", size=3, mtime=1e300, pax_headers={"mtime": "1e300"})),
        archive(member("device", type=DEVICE, devmajor=1, devminor=3)),
        gigantic(),
        archive(member(".sturgeon.json", size=3), member("a", size=3)),
        remembering('{"epoch": 1' + "0" * 400 + "}"),
        remembering('{"told": [3, null, {"loss": Infinity}]}'),
        remembering('{"epoch": 1e999}'),
    ],
)
def test_a_damaged_or_hostile_file_writes_nothing_outside_and_leaves_an_empty_folder(
    tmp_path: Path, content: bytes
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    folder = tmp_path / "run" / "checkpoint"

    with pytest.raises(Damaged):
        unpack(content, folder)

    assert list(folder.iterdir()) == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["checkpoint", "outside", "run"]
    assert outside.read_text() == "mine"


def test_an_absolute_path_is_unpacked_below_the_folder(tmp_path: Path) -> None:
    unpack(archive(member(f"{tmp_path}/evil", size=3)), tmp_path / "folder")

    assert not (tmp_path / "evil").exists()
    assert len(list((tmp_path / "folder").rglob("evil"))) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: folder.chmod(0o500),
        lambda folder: (folder / "deep").chmod(0),
        lambda folder: (folder / "deep").rename(folder / "shallow"),
    ],
)
def test_what_a_program_has_done_to_its_folder_does_not_keep_it(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    folder = made(tmp_path / "one")
    assert pack(folder, tmp_path / "a.tar", {}, MOST)
    before = contents(folder)
    spoil(folder)

    unpack((tmp_path / "a.tar").read_bytes(), folder)

    assert contents(folder) == before
