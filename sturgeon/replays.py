"""What a replay says of the samples that it has drawn again, of a page or of a whole study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sturgeon import messages


def verdict(count: int, total: int, off: int, largest: float, elsewhere: int) -> str:
    """A sentence on `count` of the `total` samples of a study, of which `off` come out otherwise.

    largest: the largest difference, as a part of the cube's side. elsewhere: how many of those that are off were drawn
    under other numerics than this server has.
    """
    of_all = "" if count == total else f" of the study's {total}"
    if not off:
        said = "exact: all" if count == total else "exact so far: the"
        return f"{said} {count} samples{of_all} come out again bit for bit"
    under = f", {elsewhere} of them drawn under other numerics than this server has" if elsewhere else ""
    return f"not exact: {off} of {count} samples{of_all} come out otherwise, by up to {largest:.3g} of the cube{under}"


def joined(pages: Sequence[messages.Replay]) -> messages.Replay:
    """One answer for all pages of a study."""
    off = [mismatch for page in pages for mismatch in page.mismatches]
    here = {used.fingerprint for page in pages for used in page.numerics if used.same}
    count = sum(page.trials for page in pages)
    total = max(pages[-1].total, count)
    largest = max(page.largest_difference for page in pages)
    elsewhere = sum(mismatch.numerics not in here for mismatch in off)
    fallbacks: Counter[str] = Counter()
    for page in pages:
        fallbacks.update(page.fallbacks)
    return pages[-1].model_copy(
        update={
            "exact": not off,
            "verdict": verdict(count, total, len(off), largest, elsewhere),
            "trials": count,
            "total": total,
            "given": sum(page.given for page in pages),
            "fallbacks": dict(fallbacks),
            "largest_difference": largest,
            "mismatches": off,
            "numerics": _numerics(pages),
            "next_page_token": None,
        }
    )


def _numerics(pages: Sequence[messages.Replay]) -> list[messages.NumericsUsed]:
    by_fingerprint: dict[str | None, messages.NumericsUsed] = {}
    for used in (used for page in pages for used in page.numerics):
        before = by_fingerprint.get(used.fingerprint)
        trials = used.trials + (before.trials if before else 0)
        by_fingerprint[used.fingerprint] = used.model_copy(update={"trials": trials})
    return list(by_fingerprint.values())
