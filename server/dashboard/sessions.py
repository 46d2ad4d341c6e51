"""The cookie of a browser that has logged in: it proves that the token was known, and does not tell it."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import Final

COOKIE: Final = "sturgeon_session"
LASTS_S: Final = 30 * 24 * 3600
"""A browser is asked for the token again after so many seconds."""

_FORM: Final = re.compile(r"([0-9]{1,12})\.([0-9a-f]{64})")


def new_session(token: str) -> str:
    """The value of a cookie that is valid from now on, until the token is another one."""
    until = str(int(time.time()) + LASTS_S)
    return f"{until}.{_seal(token, until)}"


def is_session(token: str, cookie: str | None) -> bool:
    """Whether the cookie was made with this token, and is not too old. Takes the same time for each wrong seal."""
    form = _FORM.fullmatch(cookie or "")
    if form is None:
        return False
    return hmac.compare_digest(form[2], _seal(token, form[1])) and int(form[1]) > time.time()


def _seal(token: str, until: str) -> str:
    return hmac.new(token.encode(), f"sturgeon session until {until}".encode(), hashlib.sha256).hexdigest()


def local_path(given: str | None) -> str:
    """Where to go after the login: a path of this server, or else `/`. A browser reads `//x` and `/\\x` as hosts."""
    if given and re.fullmatch(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,500}", given):
        return given
    return "/"
