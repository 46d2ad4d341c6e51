"""Why a server does not answer, in words for people, and when to ask it again."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Final

import httpx
from pydantic import ValidationError

from sturgeon.messages import ProblemAnswer

AWAY: Final = frozenset({502, 503, 504})  # 502 and 504 are a proxy's words for a server that restarts
TOO_MANY: Final = 429
"""Others at our address have sent too many wrong tokens: ours may be right, and is sent again later."""
HOSTNAME_MISMATCH: Final = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
NOT_YET_VALID, EXPIRED = 9, 10


def retry_after_s(answer: httpx.Response) -> float:
    """Seconds that the server wants us to wait; 0 if it says nothing."""
    seconds = answer.headers.get("Retry-After", "")
    return float(seconds) if seconds.isascii() and seconds.isdigit() else 0.0


def why(answer: httpx.Response | httpx.TransportError) -> str:
    """What the server does instead of answering."""
    if isinstance(answer, httpx.Response):
        return f"is not ready (it answers {answer.status_code})"
    words = _other_protocol(answer) or str(answer).strip(". ") or type(answer).__name__
    return f"did not answer ({words})"


def told(answer: httpx.Response | httpx.TransportError) -> str:
    """What our server says of its 503, such as that its disk is full; empty where it is a proxy that answers."""
    try:
        return ProblemAnswer.model_validate_json(answer.content).detail if isinstance(answer, httpx.Response) else ""
    except ValidationError:
        return ""


def certificate_fault(error: BaseException) -> str | None:
    """Why the certificate of a server is not believed, and what to do; None if that is not what failed."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{cause.verify_message.rstrip('.')}. {_advice(cause.verify_code)}"
    return None


def _other_protocol(error: BaseException) -> str | None:
    """That the server speaks plain http where https was asked for; the other way round nobody can tell."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return "it does not speak https there; does its address begin with http:// instead?"
    return None


def _advice(code: int) -> str:
    if code in HOSTNAME_MISMATCH:
        return "Ask the server by a name that is in its certificate."
    if code in (NOT_YET_VALID, EXPIRED):
        return "The server needs another certificate, or one of the clocks is wrong."
    return "If an authority of your own has signed it, name the file of that authority's certificate in SSL_CERT_FILE."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
