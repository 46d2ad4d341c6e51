"""What `import sturgeon` offers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import sturgeon


def test_exactly_the_public_names_are_exported() -> None:
    spaces = ["choice", "fixed", "integer", "linear", "log", "logit", "lognormal", "normal", "one_minus_log"]
    others = ["Client", "Study", "StudyTrial", "__version__", "errors", "study", "trial"]
    assert sorted(sturgeon.__all__) == sorted([*others, *spaces])
    assert all(hasattr(sturgeon, name) for name in sturgeon.__all__)


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

    assert sturgeon.__version__ == project["version"]


def test_each_name_of_the_messages_is_in_the_module_that_is_imported_for_it() -> None:
    from sturgeon import messages

    for name in messages.__all__:
        assert getattr(messages, name) is not None, name
    assert len(set(messages.__all__)) == len(messages.__all__)
    assert set(messages.__all__) <= set(dir(messages))
