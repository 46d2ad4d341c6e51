"""How many wrong tokens an address may still send.

Each address has a budget, from which a wrong token takes one, and which time fills again. The table of budgets is
bounded, and so is that of wrong tokens: a client that sends the same one again and again is set up wrongly and tries
nothing out, so that a repetition costs a tenth, and no look into the database.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final, Generic, TypeVar

MOST_ADDRESSES: Final = 10_000
MOST_GUESSES: Final = 4_096
REPETITION: Final = 0.1
"""What a token costs that was found to be wrong in the last WRONG_FOR_S; another one costs 1."""
WRONG_FOR_S: Final = 60.0
TRUSTED_FOR_S: Final = 3600.0
"""So long an address that has sent the right shared token is believed to send it again."""

Clock = Callable[[], float]
Value = TypeVar("Value")


@lru_cache(4096)
def neighbourhood(host: str) -> str:
    """Whose budget an address takes from: its own, or that of its network of 2**64 addresses. Anybody with IPv6 has so
    many. What is no address, such as a name that a proxy has invented, is one too."""
    try:
        address = ip_address(host)
    except ValueError:
        return host[:64]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return f"{IPv6Address(int(address) >> 64 << 64)}/64"
        address = address.ipv4_mapped
    return str(address)


class Bounded(OrderedDict[str, Value], Generic[Value]):
    """Forgets what was set longest ago when it has more than `most` keys."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: str, value: Value) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


class Budgets:
    """What each of many may still spend: `most`, and as much again in each minute. `clock` is monotonic, in seconds."""

    def __init__(self, most: float, clock: Clock) -> None:
        self.most = most
        self._a_second = most / 60
        self._clock = clock
        self._left: Bounded[tuple[float, float]] = Bounded(MOST_ADDRESSES)

    def __len__(self) -> int:
        return len(self._left)

    def left(self, whose: str) -> float:
        """What is left now; a budget that is full again is forgotten."""
        if whose not in self._left:
            return self.most
        then, at = self._left[whose]
        left = then + (self._clock() - at) * self._a_second
        if left >= self.most:
            del self._left[whose]
        return min(left, self.most)

    def spend(self, whose: str, cost: float) -> bool:
        """Take from a budget; False, and nothing is taken, if it has less. A negative cost is given back."""
        left = self.left(whose)
        if left < cost:
            return False
        self._left[whose] = min(left - cost, self.most), self._clock()
        return True

    def wait_s(self, whose: str) -> int:
        """Seconds until 1 can be spent."""
        return max(math.ceil((1 - self.left(whose)) / self._a_second), 1)


class WrongTokens:
    """The budgets of all addresses, and what is known of tokens and addresses. For the event loop alone."""

    def __init__(self, a_minute: int, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.of_address = Budgets(a_minute, lambda: self.clock())
        self._wrong: Bounded[float] = Bounded(MOST_GUESSES)
        self._trusted: Bounded[float] = Bounded(MOST_ADDRESSES)

    def note(self, sha256: str) -> None:
        """Remember that a token, by its hash, is wrong."""
        self._wrong[sha256] = self.clock() + WRONG_FOR_S

    def is_known(self, sha256: str) -> bool:
        """Whether this token was found to be wrong a moment ago."""
        return self.clock() < self._wrong.get(sha256, -math.inf)

    def trust(self, address: str) -> None:
        """Remember that the shared token came from this address, within its budget."""
        self._trusted[address] = self.clock() + TRUSTED_FOR_S

    def is_trusted(self, address: str) -> bool:
        return self.clock() < self._trusted.get(address, -math.inf)
