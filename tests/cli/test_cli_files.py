"""Study files in YAML and JSON, and editing a space from one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import yaml
from hypothesis import strategies as st

from sturgeon.cli.files import read_mapping
from sturgeon.cli.inputs import WrongInput
from sturgeon.messages import StudyRequest
from tests.cli.command import BOWL, Command

if TYPE_CHECKING:
    from tests.running import RunningServer

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "study.yaml"


def test_the_yaml_example_is_the_study_of_the_json_example() -> None:
    assert read_mapping(EXAMPLES / "digits.yaml") == read_mapping(EXAMPLES / "digits.json")


@pytest.mark.parametrize("example", sorted(EXAMPLES.rglob("*.json")), ids=lambda path: path.name)
def test_every_example_is_a_study(example: Path) -> None:
    StudyRequest.model_validate_json(json.dumps(read_mapping(example)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1E5", 1e5), ("+1.5e+3", 1500.0), (".5", 0.5), ("5.", 5.0), ("-3", -3), ("010", 10),
        ("0x1F", 31), ("0o17", 15), ("no", "no"), ("on", "on"), ("yes", "yes"), ("True", True), ("12:30", "12:30"),
        ("2026-11-23", "2026-11-23"), ("1_000", "1_000"), ("~", None), ("", None), ("null", None), ("'1e-4'", "1e-4"),
        ("[1e-2, a]", [0.01, "a"]), ("=", "="), ("e5", "e5"),
    ],
)  # fmt: skip
def test_yaml_means_what_json_means(file: Path, text: str, value: Any) -> None:
    file.write_text(f"a: {text}\n")
    [(name, found)] = read_mapping(file).items()
    assert (name, found, type(found)) == ("a", value, type(value))


TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]) | st.sampled_from("\n\t"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@hypothesis.given(st.dictionaries(TEXT, JSON, max_size=4))
@hypothesis.settings(max_examples=60, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_what_is_written_as_json_is_read_alike_as_yaml(tmp_path: Path, value: dict[str, Any]) -> None:
    for name in ("study.json", "study.yaml"):
        (tmp_path / name).write_text(json.dumps(value, ensure_ascii=False))  # YAML 1.2 takes JSON as it is
        assert read_mapping(tmp_path / name) == value


def test_a_merge_key_takes_over_what_its_anchor_has(file: Path) -> None:
    file.write_text("a: &rate {type: float, low: 1e-4}\nb: {<<: *rate, low: 1e-3}\n")
    assert read_mapping(file)["b"] == {"type": "float", "low": 1e-3}


WRONG = [
    ("a: 1\nb: 2\na: 3\n", "line 3, column 1: the name 'a' is used twice in one mapping"),
    ("space: {x: {low: 0, low: 1}}\n", "line 1, column 21: the name 'low' is used twice in one mapping"),
    ("a: [1, 2\nb: 3\n", "line 2, column 2: expected ',' or ']'"),
    ("a:\n\t- 1\n", "line 2, column 1: found character '\\t' that cannot start any token"),
    ("1: a\n", 'line 1, column 1: a name must be text: put it in quotes ("..")'),
    ("a: .inf\n", "line 1, column 4: inf is not a finite number"),
    ("a: 1e999\n", "line 1, column 4: 1e999 is not a finite number"),
    ("a: !!python/object/apply:os.getcwd []\n", "line 1, column 4: write text, numbers, lists and mappings"),
    ("a: 1\n---\nb: 2\n", "line 2, column 1: but found another document"),
    ("- a\n", "is not a mapping: write names with values, as in examples/digits.yaml"),
    ("", "is not a mapping"),
    ("a: " + "[" * 5000, "is nested too deeply"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=[sentence[:40] for _, sentence in WRONG])
def test_a_mistake_is_one_sentence_with_line_and_column(file: Path, text: str, sentence: str) -> None:
    file.write_text(text)
    with pytest.raises(WrongInput) as wrong:
        read_mapping(file)
    assert sentence in wrong.value.format_message()
    assert str(file) in wrong.value.format_message()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a": 1, "a": 2}', "the name 'a' is used twice in one object"),
        ('{"a": NaN}', "NaN is not a finite number"),
        ('{"a": 1e999}', "1e999 is not a finite number"),
        ('{"a": 1,}', "is not JSON: "),
        ("[1]", "is not a mapping"),
    ],
)
def test_json_is_read_as_strictly(sturgeon: Command, text: str, sentence: str) -> None:
    ran = sturgeon("study", "create", "-", stdin=text)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("sturgeon: standard input ")
    assert sentence in ran.err


def test_a_study_is_created_from_yaml_in_a_file_and_on_standard_input(
    sturgeon: Command, server: RunningServer, file: Path
) -> None:
    file.write_text(yaml.safe_dump(BOWL))
    assert sturgeon("study", "create", file).code == 0
    assert sturgeon("study", "create", "-", stdin=yaml.safe_dump(BOWL | {"name": "two"})).code == 0
    assert server.client.study("two").space == server.client.study("bowl").space


def test_a_space_is_edited_from_a_study_file(sturgeon: Command, new_study: RunningServer, file: Path) -> None:
    keep = {"type": "float", "low": 0.5, "high": 1}
    file.write_text(yaml.safe_dump(BOWL | {"space": BOWL["space"] | {"keep_prob": keep}}, sort_keys=False))

    ran = sturgeon("study", "space", "bowl", file, "--added", "keep_prob=0.75")

    assert (ran.code, ran.err) == (0, "")
    assert list(new_study.client.study("bowl").space) == ["x", "y", "keep_prob"]
    first, second = sturgeon("study", "revisions", "bowl", "-o", "json").json
    assert (first["added"], second["added"]) == ({}, {"keep_prob": 0.75})
    assert "keep_prob=0.75" in sturgeon("study", "revisions", "bowl").out


def test_a_space_is_edited_from_a_file_of_the_space_alone(sturgeon: Command, new_study: RunningServer) -> None:
    space = {"x": {"type": "float", "low": -2, "high": 1}, "kind": {"type": "choice", "values": ["a", "b"]}}

    refused = sturgeon("study", "space", "bowl", "-", stdin=yaml.safe_dump(space))
    assert refused.code == 1
    assert 'say what the older trials count as having: "added": {"kind": VALUE}' in refused.err

    assert sturgeon("study", "space", "bowl", "-", "--added", "kind=b", stdin=yaml.safe_dump(space)).code == 0
    assert new_study.client.study("bowl").revision == 1
    assert sturgeon("study", "space", "bowl", "-", "--added", "kind", stdin=yaml.safe_dump(space)).code == 2


def test_a_trial_is_marked_invalid(sturgeon: Command, half_searched: RunningServer) -> None:
    ran = sturgeon("trial", "invalidate", "bowl", "1", "--reason", "a wrong label")

    assert (ran.code, ran.out) == (0, "Trial 1 of bowl is invalid: it counts for nothing.\n")
    assert half_searched.client.trial("bowl", 1).invalid is not None
    assert "invalid: a wrong label" in sturgeon("study", "trials", "bowl").out
    assert sturgeon("study", "best", "bowl", "-o", "json").json["items"][0]["number"] == 0


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join(9 * [f'*{before}'])}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.fault("L10")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (BOMB, "line 6, column 8: with the alias *e there are more than 100000 values."),
        ("a: &a\n  b: *a\n", "line 2, column 6: the alias *a stands for what contains it."),
        ("a: &a [*a]\n", "line 1, column 8: the alias *a stands for what contains it."),
    ],
)
def test_aliases_which_a_few_bytes_unfold_to_gigabytes_are_refused(sturgeon: Command, text: str, sentence: str) -> None:
    ran = sturgeon("study", "create", "-", stdin=text)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"sturgeon: standard input is not valid YAML: {sentence}\n"
