"""Versions of code and data, as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sturgeon.messages import CodeVersion, DataVersion, Study, VersionChange


def version_text(version: CodeVersion | DataVersion) -> str:
    """A version in a few words: `3f2a91c0d4e5 and changes`, `8d969eef6eca (1 file, 12.3 MB)`."""
    return _text(version.model_dump())


def changed(change: VersionChange) -> str:
    """From which trial on another version ran."""
    return f"from trial {change.number} on {_text(change.now)}, before {_text(change.was)}"


def changes(study: Study) -> list[str]:
    """A sentence for the newest change of the code and of the data."""
    return [f"The {change.what} changed: {changed(change)}." for change in study.changes]


def _text(version: Mapping[str, Any]) -> str:
    if "commit" in version:
        return f"{version['commit'][:12]}{' and changes' if version['dirty'] else ''}"
    files = "1 file" if version["files"] == 1 else f"{version['files']} files"
    return f"{version['sha256'][:12]} ({files}, {version['size'] / 1e6:.3g} MB)"
