"""One word for one thing: the private words that were replaced by the field's terms do not come back.

The wire keeps three of them, `leg`, `guess` and `alone`: fields of messages, documented in `sturgeon/messages`.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCHEMA = "tests/store/test_invariants.py"  # it writes rows of the schema before the words were replaced
CODE = ("server/", "sturgeon/", "worker/", "trainer/", "tests/", "benchmarks/", "examples/")
THIS = "tests/test_words.py"

GONE = {
    r"\bOnce[.(]|: Once\b|\bonce\.py|\brecall\(tx\b": "IdempotencyKey, claim_or_replay, store_answer",
    r"services/answers|services\.answers|\banswers\.(trial|study|lease)\b": "views",
    r"\bThinking\b|\bthinking\b|\bMOST_KEPT\b|\bTHINK_S\b": "sampler_pool, SamplerPool, StudyCache, DrawRequest",
    r"\bLearner\b|\bLearnt\b|services[/.]learning": "refit, Refitter, RefitResult",
    r"\bhand_out\(|\bAsking\b|\b(Hand|Placed)\(": "dispatch, DispatchRequest, Dispatched",
    r"\bmates\b|\b(row|trial)\.alone\b": "stack peers, unstackable",
    r"\b[Rr]eaper\b|\breaping\b|\breaps?\b(?!_every)": "expiry, housekeeping",
    r"\bWaiters\b|services[/.]waiting": "long_poll, LongPollQueue",
    r"services[/.]watching|\bWish\b|\bwish(es|ed)?\b": "guards, policy_runner, PolicyDecision; Command in the trainer",
    r"services[/.](ending|resuming|revising|checking|live|winners)\b": "completion, resume, ..",
    r"services[/.](branching|challenging|retesting|counters)\b": "branches, challengers, retests, metrics",
    r"routes[/.]parts\b": "dependencies",
    r"\bShape\b(?!Error)|\bOutlook\b|\bopinion\b|\branking\.py": "KernelParams, FantasyPosterior, acquisition",
    r"\blegs?\b": "rollback_generation",
    r"\bguess\b": "predicted_value",
    r"\bstandings?\b": "rung_scores",
    r"\babsences?\b": "requeue_gaps",
    r"trials\.c\.(place|steered|alone|guess)\b|\"place\": request": "location, live_overrides",
    r"\bdesire\(|\bdesires\(": "request_change",
    r"\bBack\(|\bclass Back\b|\bback_behind\b": "RollbackTarget, roll_back_before",
    r"\bSteer\(|\bclass Steer\b": "DesiredRun",
    r"\bclass (Said|Happened|Found|Alone|End)\b|\b(Happened|Alone)\(": "ChildMessage, LeaveStack, ..",
    r"\bclass Kept\b|\bKept\(": "CheckpointKeeper, StudyCache",
    r"\bclass (Seen|Fresh|Judged)\b|\b(Seen|Judged)\(": "SamplerView, NewPortion, GuardVerdict",
    r"\b(go|goes|went|gone|come|comes|came|lies?|back)\s+behind\b|\bbehind (a|its|the|this|that) step\b": "after",
    r"tests[/.]faults[/.](gate|cut)\b|server[/.]standing\b|panda[/.]hand\b": "breakpoint_worker, network_cut",
}
"""What is gone, as a regular expression -> what is written instead."""

WIRE = {
    r"\blegs?\b": re.compile(r"\.leg\b|\bleg=|\bleg:|\"leg\"|`leg`|^sturgeon/messages/"),
    r"\bguess\b": re.compile(r"\.guess\b|guess=|guess:|\"guess\"|guess_error|`guess`"),
}
"""Where a word stands as a field of a message, or of what reads one."""


def lines() -> list[tuple[str, str]]:
    """(file, line) of all code that is tracked, and what is about to be."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    code = [file for file in files if file.startswith(CODE) and file not in (THIS, SCHEMA) and (ROOT / file).exists()]
    assert len(code) > 300
    return [(file, line) for file in code for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def code() -> list[tuple[str, str]]:
    return lines()


@pytest.mark.parametrize("word", GONE)
def test_a_replaced_word_stands_nowhere_outside_the_wire(word: str, code: list[tuple[str, str]]) -> None:
    pattern, wire = re.compile(word), WIRE.get(word)
    found = [
        f"{file}: {line.strip()}" for file, line in code if pattern.search(line) and not (wire and wire.search(line))
    ]
    assert found == [], f"write {GONE[word]}"
