"""What requests are made of: paths, queries and bodies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, SupportsFloat
from urllib.parse import quote

from pydantic import BaseModel

from sturgeon.values import Json

Body = BaseModel | Mapping[str, object]
Scalar = str | int | float | bool | None
LEFT_OUT: Final = b"\n.. left out ..\n"


def study_path(study: str) -> str:
    return f"/v1/studies/{quote(study, safe='', errors='replace')}"


def trial_path(study: str, number: int) -> str:
    return f"{study_path(study)}/trials/{number}"


def given(**values: Scalar) -> dict[str, Scalar]:
    return {name: value for name, value in values.items() if value is not None}


def paged(page_size: int | None, page_token: str | None) -> dict[str, Scalar]:
    return given(page_size=page_size, page_token=page_token)


def filters(state: str | None, invalid: bool | None, sort: str | None) -> dict[str, Scalar]:
    return given(state=state, invalid=invalid, sort=sort)


def as_dict(body: Body) -> Json:
    return body.model_dump(mode="json", exclude_unset=True) if isinstance(body, BaseModel) else dict(body)


def with_metrics(body: Body) -> Json:
    plain = as_dict(body)
    return plain | {"metrics": finite(plain.get("metrics", {}))}


def finite(metrics: Mapping[str, SupportsFloat | None]) -> dict[str, float | None]:
    """JSON has no NaN and no NumPy: what is not finite becomes null, and each number a float."""
    return {
        name: float(value) if value is not None and math.isfinite(value) else None for name, value in metrics.items()
    }


def lines_of(chunks: Iterable[str]) -> Iterator[str]:
    """Split at line feeds alone: httpx's own splits at U+2028 and others too, which a cell of a CSV may have."""
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        yield from (line.removesuffix("\r") for line in lines)
    if rest:
        yield rest


def shortened(text: bytes, most: int) -> bytes:
    """UTF-8 of at most so many bytes: the first quarter and the last three quarters."""
    if len(text) <= most:
        return text
    first, last = most // 4, most - most // 4 - len(LEFT_OUT)
    parts = (text[:first], text[-last:])
    return LEFT_OUT.join(part.decode(errors="ignore").encode() for part in parts)
