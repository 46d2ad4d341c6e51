"""What people are told in the place of a regular expression that their text does not match."""

from __future__ import annotations

from typing import Final

from sturgeon.messages.forms import STUDY_NAME, WORKER_NAME
from sturgeon.messages.metadata import TAG
from sturgeon.messages.tasks import CALL, ENVIRONMENT_NAME
from sturgeon.values import NAME

SENTENCES: Final = {
    STUDY_NAME: "write at most 100 letters (A to Z), digits and . _ -, the first one a letter or a digit",
    WORKER_NAME: "write at most 200 letters (A to Z), digits and . _ : @ + -, the first one a letter or a digit",
    TAG: "write at most 64 letters (A to Z), digits and . _ : / @ + -, the first one a letter or a digit",
    NAME: 'write at most 100 letters (A to Z), digits and signs, blanks between them only, and none of = , ` " { } \\',
    ENVIRONMENT_NAME: "write at most 200 letters (A to Z), digits and _, the first one no digit",
    CALL: 'write "module:function", for example "train:run"',
}
"""By the pattern, the sentence that says how to write it."""
