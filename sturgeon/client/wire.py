"""Sends one request, again while the server is away, and raises the errors that the server answers."""

from __future__ import annotations

import copy
import json
import random
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, NoReturn, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import BaseModel, ValidationError

from sturgeon import messages as m
from sturgeon.client.away import AWAY, TOO_MANY, certificate_fault, retry_after_s, told, why
from sturgeon.client.connections import Connections
from sturgeon.client.tracing import trace_headers
from sturgeon.errors import (
    BrokenOff,
    ClientClosed,
    FieldProblem,
    Invalid,
    Problem,
    ServerUnreachable,
    TooLarge,
    Unauthorized,
    problem_classes,
)
from sturgeon.servers import shown

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0
TOKEN: Final = re.compile(r"[!-~]*")
COPIED: Final = re.compile(r"(?<=[^/])(/v1|/docs)?/*$")
"""The end of an address that was copied from an example with curl or from a browser; the routes begin with /v1."""

Model = TypeVar("Model", bound=BaseModel)


Query = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True)
class Patience:
    """How long a call is tried again while the server is away; the rest is there for tests.

    `seconds` in all; `sleep` takes seconds, `clock` is monotonic in seconds, `uniform` draws from [0, 1).
    """

    seconds: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    uniform: Callable[[], float] = random.random

    def wait_s(self, tries: int) -> float:
        """Doubled at each try up to a limit, and half of it random, so that workers do not march in step."""
        longest = min(FIRST_WAIT_S * 2.0 ** min(tries - 1, 30), LONGEST_WAIT_S)
        return longest * (0.5 + 0.5 * self.uniform())


class Wire:
    """A connection pool to one server.

    Raises: ServerUnreachable (the address is not valid), Unauthorized (the token cannot be sent).
    """

    def __init__(
        self,
        base_url: str,
        token: str | None,
        transport: httpx.BaseTransport | None,
        timeout: float,
        patience: Patience,
    ) -> None:
        if token is not None and not TOKEN.fullmatch(token):
            raise Unauthorized("The token must be one word of ASCII characters; is there a line end in its file?")
        self._connections = Connections(_address(base_url), token, transport)
        self._base_url = COPIED.sub("", base_url.strip())
        self._shown = shown(self._base_url)
        self._timeout, self._patience = timeout, patience

    @property
    def sleep(self) -> Callable[[float], None]:
        """How it waits between two tries."""
        return self._patience.sleep

    def with_patience(self, patience: Patience) -> Wire:
        """The same connections, with another patience."""
        other = copy.copy(self)
        other._patience = patience
        return other

    def close(self) -> None:
        self._connections.close()

    def ask(
        self,
        model: type[Model],
        method: str,
        path: str,
        body: Mapping[str, object] | bytes | None = None,
        *,
        query: Query | None = None,
        once: bool = False,
        longer_s: float = 0.0,
        headers: Mapping[str, str] | None = None,
    ) -> Model:
        """Send and read the answer. `once` sends an Idempotency-Key, the same over all tries of this call."""
        answer = self.send(method, path, body, query=query, once=once, longer_s=longer_s, headers=headers)
        try:
            return model.model_validate_json(answer.content)
        except ValidationError:
            self._refuse_stranger(answer)

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | bytes | None = None,
        *,
        query: Query | None = None,
        once: bool = False,
        longer_s: float = 0.0,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send until an answer comes, or patience ends; `longer_s` is the time that the call itself may wait.

        Raises: ServerUnreachable (patience ended), Problem (the server refused).
        """
        content, sent = _content(body)
        sent |= headers or {}
        if once:
            sent["Idempotency-Key"] = str(uuid.uuid4())
        return self._patiently(self._request(method, path, query, content, sent, longer_s))

    def _request(
        self,
        method: str,
        path: str,
        query: Query | None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        longer_s: float = 0.0,
    ) -> httpx.Request:
        sent = {**(headers or {}), **trace_headers()}
        added = [(name.encode("ascii"), value.encode("ascii")) for name, value in sent.items()]
        return httpx.Request(
            method,
            self._url(path, query),
            headers=[*self._connections.headers, *added],
            content=content,
            extensions={"timeout": httpx.Timeout(self._timeout + longer_s).as_dict()},
        )

    def _url(self, path: str, query: Query | None) -> httpx.URL:
        try:
            return httpx.URL(f"{self._base_url}{path}{_query(query)}")
        except httpx.InvalidURL as error:
            raise Invalid(f"This cannot be an address of the server: {error}.") from None

    def download(self, path: str, query: Query, file: BinaryIO, most_bytes: float) -> None:
        """GET a body into an empty file, from its start again where the answer broke off.

        Raises: TooLarge (it has more bytes), ServerUnreachable (patience ended), Problem (the server refused).
        """

        def keep(answer: httpx.Response) -> None:
            file.seek(0)
            file.truncate()
            for part in answer.iter_bytes():
                if file.tell() + len(part) > most_bytes:
                    raise TooLarge(f"{path} has more than the {most_bytes:,.0f} bytes that may be read.")
                file.write(part)

        self._patiently(self._request("GET", path, query), keep=keep)

    @contextmanager
    def stream(self, path: str, query: Query) -> Iterator[httpx.Response]:
        """A GET whose body is read as it arrives.

        Raises: ServerUnreachable (patience ended), BrokenOff (in mid-answer), Problem (the server refused).
        """
        answer = self._patiently(self._request("GET", path, query), stream=True)
        try:
            yield answer
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise BrokenOff(f"The server at {self._shown} went away in mid-answer.") from error
        finally:
            answer.close()

    def rest(self) -> None:
        """Wait before something is asked again that came to its end by itself."""
        self._patience.sleep(self._patience.wait_s(1))

    def _patiently(
        self, request: httpx.Request, stream: bool = False, keep: Callable[[httpx.Response], None] | None = None
    ) -> httpx.Response:
        started, tries = self._patience.clock(), 0
        while True:
            tries += 1
            wait = self._patience.wait_s(tries)
            answer = self._one_try(request, stream, keep)
            if isinstance(answer, httpx.Response) and answer.status_code not in AWAY | {TOO_MANY}:
                return self._checked(answer)
            if isinstance(answer, httpx.Response):
                wait = max(wait, retry_after_s(answer))
            waited = self._patience.clock() - started
            if waited + wait > self._patience.seconds:
                if isinstance(answer, httpx.Response) and answer.status_code == TOO_MANY:
                    return self._checked(answer)
                often = f", tried {tries} times in {waited:.0f} s" if tries > 1 else ""
                hint = told(answer) or "is it running, and is the address right?"
                raise ServerUnreachable(f"The server at {self._shown} {why(answer)}{often}: {hint}")
            self._patience.sleep(wait)

    def _one_try(
        self, request: httpx.Request, stream: bool, keep: Callable[[httpx.Response], None] | None
    ) -> httpx.Response | httpx.TransportError:
        try:
            answer = self._connections.answer(request, stream=stream or keep is not None)
            if keep is not None and answer.is_success:
                with closing(answer):
                    keep(answer)
            elif not answer.is_success:
                with closing(answer):
                    answer.read()
            return answer
        except httpx.TransportError as error:
            if (fault := certificate_fault(error)) is not None:  # which no patience mends
                raise ServerUnreachable(f"The certificate of {self._shown} is not trusted: {fault}") from None
            return error
        except httpx.DecodingError as error:
            raise ServerUnreachable(
                f"{self._shown} answered in an encoding that cannot be read ({error}): is the address right?"
            ) from error
        except RuntimeError as error:  # httpx: the client was closed, by another thread that wants us to end
            raise ClientClosed(f"The client of {self._shown} is closed.") from error

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        try:
            problem = m.ProblemAnswer.model_validate_json(answer.content)
        except ValidationError:
            if answer.status_code == TooLarge.status:
                raise TooLarge(f"The proxy before {self._shown} takes no body of this size; raise its limit.") from None
            self._refuse_stranger(answer)
        errors = tuple(FieldProblem(field.get("pointer", ""), field.get("detail", "")) for field in problem.errors)
        raise problem_classes().get(problem.code, Problem)(problem.detail, errors)

    def _refuse_stranger(self, answer: httpx.Response) -> NoReturn:
        raise ServerUnreachable(
            f"{self._shown} answered {answer.status_code}, but not as this version of Sturgeon does: "
            "is the address right?"
        )


def _content(body: Mapping[str, object] | bytes | None) -> tuple[bytes | None, dict[str, str]]:
    if body is None:
        return None, {}
    if isinstance(body, bytes):
        return body, {"Content-Type": "application/octet-stream"}
    # ASCII, so that a lone surrogate reaches the server and is refused there in a sentence.
    return json.dumps(body).encode("ascii"), {"Content-Type": "application/json"}


def _query(query: Query | None) -> str:
    """Quoted here: httpx would parse the whole address once more. A lone surrogate becomes a question mark, which the
    server refuses in a sentence."""
    if not query:
        return ""
    texts = {name: json.dumps(value) if isinstance(value, bool) else value for name, value in query.items()}
    return "?" + urlencode({name: "" if text is None else text for name, text in texts.items()}, errors="replace")


def _address(base_url: str) -> httpx.URL:
    """The address of a server.

    Raises: ServerUnreachable (the address is not valid).
    """
    try:
        url = httpx.URL(base_url.strip())
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ServerUnreachable(f"{shown(base_url)!r} is no address: write one like http://127.0.0.1:8000.")
    return url
