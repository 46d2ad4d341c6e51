"""What a named token is made of.

It is 256 random bits, which nobody finds by trying, however cheap it is to try: that is why its plain SHA-256 is kept.
A slow hash, such as argon2, protects what people think up; here it would only make each request dearer.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

PREFIX: Final = "sturgeon_"
"""By which programs that look for secrets in files know one of ours."""
_FORM: Final = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """A token that nobody has had."""
    return PREFIX + secrets.token_urlsafe(32)


def sha256_of(text: str) -> str | None:
    """The hash under which a token is kept; None if the text has not the form of one."""
    return hashlib.sha256(text.encode()).hexdigest() if _FORM.fullmatch(text) else None
