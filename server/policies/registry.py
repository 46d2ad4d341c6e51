"""The policies by name.

A policy is two files: its message in `sturgeon/messages/policies.py`, in the union `Policy`; and the module of its name
in this folder, whose `RULE` says what it makes of a trial. A policy named "plateau" is decided by `plateau.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, get_args

from server.policies.rule import PolicyRule
from server.policies.view import Decision, PolicyView
from sturgeon.messages import Policy


def policy_names() -> list[str]:
    """The names of all policies that a message can have."""
    union, *_ = get_args(Policy)
    return [get_args(model.model_fields["policy"].annotation)[0] for model in get_args(union)]


def load_rule(name: str) -> PolicyRule:
    """The rule of the module of that name."""
    rule: PolicyRule = import_module(f"server.policies.{name}").RULE
    return rule


RULES: Final[dict[str, PolicyRule]] = {name: load_rule(name) for name in policy_names()}


def propose(policy: Policy, view: PolicyView) -> Decision | None:
    """What a policy makes of a trial; None where it leaves the trial alone."""
    return RULES[policy.policy].propose(policy, view)
