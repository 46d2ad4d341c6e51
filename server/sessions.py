"""The cookie of a browser that has logged in: it proves that a token was known, and does not tell it.

It is sealed with the shared token. That of a named token has its hash in it, so that it ends with the token. Whoever
has a cookie may look for the shared token that its seal belongs to, so an attempt costs some 50 ms of a processor.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from functools import lru_cache
from typing import Final

COOKIE: Final = "sturgeon_session"
LASTS_S: Final = 30 * 24 * 3600
"""A browser is asked for the token again after so many seconds."""

SHARED: Final = ""
"""Whose session it is that was opened with the shared token."""

_FORM: Final = re.compile(r"([0-9]{1,12})\.(?:([0-9a-f]{64})\.)?([0-9a-f]{64})")


def new_session(token: str, whose: str = SHARED) -> str:
    """The value of a cookie that is valid from now on, until the shared token is another one. whose: the hash of the
    named token that opens it."""
    until = str(int(time.time()) + LASTS_S)
    seal = _seal(token, until, whose)
    return f"{until}.{whose}.{seal}" if whose else f"{until}.{seal}"


def session_of(token: str, cookie: str | None) -> str | None:
    """Whose session it is: SHARED, or the hash of a named token; None if the cookie was not made with this shared
    token, or is too old. Takes the same time for each wrong seal."""
    form = _FORM.fullmatch(cookie or "")
    if form is None:
        return None
    whose = form[2] or SHARED
    is_ours = hmac.compare_digest(form[3], _seal(token, form[1], whose))
    return whose if is_ours and int(form[1]) > time.time() else None


def is_sealed(cookie: str | None) -> bool:
    """Whether a cookie has the form of one of ours, so that its seal may come of an attempt at the shared token."""
    return _FORM.fullmatch(cookie or "") is not None


def _seal(token: str, until: str, whose: str) -> str:
    said = f"sturgeon session until {until}" + (f" of {whose}" if whose else "")
    return hmac.new(_key(token), said.encode(), hashlib.sha256).hexdigest()


@lru_cache(16)
def _key(token: str) -> bytes:
    """What cookies are sealed with: a shared token may be a word that people thought up."""
    return hashlib.scrypt(token.encode(), salt=b"sturgeon session", n=2**14, r=8, p=1)


def local_path(given: str | None) -> str:
    """Where to go after the login: a path of this server, or else `/`. A browser reads `//x` and `/\\x` as hosts."""
    if given and re.fullmatch(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,500}", given):
        return given
    return "/"
