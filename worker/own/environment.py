"""The environment of a user's program: what the worker's owner lets through, the task's own, and the trial's."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from sturgeon.one_thread import VARIABLES
from sturgeon.placeholders import as_text, variable_name
from worker.child.protocol import Job

PASSED: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TERM", "TMPDIR", "TMP", "TEMP",
    "VIRTUAL_ENV", "CONDA_*", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME",
    "CUDA_*", "NVIDIA_VISIBLE_DEVICES", "NCCL_*", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "OMP_*", "MKL_*",
    "OPENBLAS_*", "BLIS_*", "VECLIB_*", "NUMEXPR_*", "NUMBA_*", "KMP_*", "TF_*", "XLA_*", "JAX_*", "KERAS_*", "TORCH_*",
    "PYTORCH_*", "HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
"""The variables of the worker that reach a program; `--pass-env` adds to them."""

NEVER: Final = ("STURGEON_*", "PYTHONSAFEPATH")
SECRET: Final = re.compile(r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|KEY|^TF_VAR_", re.IGNORECASE)
"""What the list above does not let through, though a pattern of it may match. TF_VAR_* are Terraform's, not
TensorFlow's, and often secret."""

LONGEST_VARIABLE: Final = 100_000


def passed_on(environment: Mapping[str, str], names: Iterable[str], ours: str) -> dict[str, str]:
    """What of the worker's environment reaches programs. names: those that its owner has added. ours: the folder that
    we have put on PYTHONPATH for ourselves."""
    named = frozenset(names)
    passed = {
        name: value
        for name, value in environment.items()
        if name in named or (any(fnmatchcase(name, one) for one in PASSED) and not SECRET.search(name))
    }
    passed = {name: value for name, value in passed.items() if not any(fnmatchcase(name, one) for one in NEVER)}
    for name in VARIABLES:  # ours, for our own sums; they are not what a person has set
        passed.pop(name, None)
    if "PYTHONPATH" in passed:
        parts = [part for part in passed["PYTHONPATH"].split(os.pathsep) if part and part != ours]
        passed["PYTHONPATH"] = os.pathsep.join(parts)
    return passed


def threads_for(slots: int) -> dict[str, str]:
    """Programs side by side share the processors; a single one takes all."""
    if slots <= 1:
        return {}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"OMP_NUM_THREADS": str(max(cores // slots, 1))}


def of_trial(job: Job, folder: Path, params: Mapping[str, object], checkpoint: Path | None) -> dict[str, str]:
    """The variables that tell a program of its trial; `folder` has the files that they name."""
    text = json.dumps(params)
    told = {
        "STURGEON_TRIAL": str(folder),
        "STURGEON_STUDY": job.study,
        "STURGEON_NUMBER": str(job.number),
        "STURGEON_SEED": str(job.seed),
        "STURGEON_PARAMS": text,
        "STURGEON_PARAMS_FILE": str(folder / "params.json"),
        "STURGEON_REPORTS": str(folder / "reports.jsonl"),
        "STURGEON_DESIRED": str(folder / "desired.json"),
    }
    if checkpoint is not None:
        told["STURGEON_CHECKPOINT"] = str(checkpoint)
    # Else lines come late: a Python program keeps them back as long as nobody sees them.
    told["PYTHONUNBUFFERED"] = "1"
    if job.gpus is not None:
        told["CUDA_VISIBLE_DEVICES"] = ",".join(job.gpus)
    told |= {f"STURGEON_PARAM_{variable_name(name)}": as_text(value) for name, value in params.items()}
    # The system starts no program with a longer one; the file has all parameters.
    return {name: value for name, value in told.items() if len(value.encode()) < LONGEST_VARIABLE}
