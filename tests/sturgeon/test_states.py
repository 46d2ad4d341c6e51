"""The one table of moves: it is the drawing in the design, and nothing leads out of a terminal state by itself."""

from __future__ import annotations

from sturgeon.states import REQUEUEABLE, STUDY_MOVES, TERMINAL, TRIAL_MOVES, TRIAL_STATES, UNFINISHED


def test_a_trial_is_either_unfinished_or_terminal() -> None:
    assert UNFINISHED == ("queued", "running", "paused")
    assert set(TERMINAL) == {"complete", "pruned", "diverged", "failed", "cancelled"}
    assert set(TRIAL_STATES) == set(TRIAL_MOVES) == {*UNFINISHED, *TERMINAL}


def test_a_terminal_trial_moves_only_where_a_person_requeues_it() -> None:
    assert {state: TRIAL_MOVES[state] for state in TERMINAL if TRIAL_MOVES[state]} == {
        state: {"queued"} for state in REQUEUEABLE
    }
    assert REQUEUEABLE == ("failed", "cancelled")


def test_an_unfinished_trial_may_end_in_every_terminal_state() -> None:
    assert TRIAL_MOVES["running"] == {"queued", "paused", *TERMINAL}
    assert TRIAL_MOVES["queued"] == {"running", "paused", *TERMINAL}
    assert TRIAL_MOVES["paused"] == {"running", "queued", *TERMINAL}


def test_people_move_a_study_between_active_paused_and_stopped_and_end_it_by_cancelling() -> None:
    assert dict(STUDY_MOVES) == {
        "active": {"paused", "stopped", "cancelled"},
        "paused": {"active", "stopped", "cancelled"},
        "stopped": {"active", "cancelled"},
        "cancelled": set(),
        "completed": set(),
    }
