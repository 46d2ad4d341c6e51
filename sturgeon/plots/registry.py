"""All kinds of pictures by name: the function that draws each, and the answers of the server that it takes.

    spec = PLOTS["slice"].draw(table=table, rounds=rounds, field="p0", width=None)

Each function takes the answers that `needs` names, by these names, then `options`, then `width`: pixels, or None for as
wide as its place on a page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from sturgeon.plots.beta_scale import beta_scale
from sturgeon.plots.confusion import confusion
from sturgeon.plots.curves import curves
from sturgeon.plots.diagnosis import diagnosis
from sturgeon.plots.drift import drift
from sturgeon.plots.durations import durations
from sturgeon.plots.gradients import gradients
from sturgeon.plots.grid_against_random import grid_against_random
from sturgeon.plots.history import history
from sturgeon.plots.importance import importance
from sturgeon.plots.knobs import knobs
from sturgeon.plots.pair_map import pair_map
from sturgeon.plots.panda_caviar import panda_caviar
from sturgeon.plots.parallel import parallel
from sturgeon.plots.slices import slices
from sturgeon.plots.specs import Spec
from sturgeon.plots.trial_curves import trial_curves
from sturgeon.plots.two_stage import two_stage
from sturgeon.plots.zoom import zoom

Need = Literal["table", "rounds", "importance", "curves", "trial_curves", "timeline", "diagnosis", "errors"]
"""An answer of the server, as `sturgeon.messages` has it: Table, Rounds, Importance, Curves, TrialCurves and Timeline;
diagnosis and errors are plain JSON."""

OPTIONAL: Final[frozenset[Need]] = frozenset({"rounds", "timeline"})
"""None may be given for these, where there are none."""


@dataclass(frozen=True)
class Plot:
    """A kind of picture. `of`: what it shows. `options`: further arguments, all of them texts that may be left out.

    `datasets`: the named data in its specification, the one that a page updates first.
    """

    draw: Callable[..., Spec]
    of: Literal["study", "trial"]
    needs: tuple[Need, ...]
    about: str
    datasets: tuple[str, ...] = ("rows",)
    options: tuple[str, ...] = ()


PLOTS: Final[dict[str, Plot]] = {
    "history": Plot(history, "study", ("table",), "the score of each trial, and the best so far", ("rows", "steps")),
    "parallel": Plot(
        parallel, "study", ("table",), "all parameters and the score, a line for each trial", options=("fields", "top")
    ),
    "slice": Plot(
        slices,
        "study",
        ("table", "rounds"),
        "each parameter against the score, and the boxes of each round",
        ("rows", "boxes"),
        options=("field",),
    ),
    "map": Plot(
        pair_map,
        "study",
        ("table", "rounds"),
        "two parameters as a map, coloured by the score",
        ("rows", "boxes"),
        options=("x", "y"),
    ),
    "importance": Plot(
        importance, "study", ("importance",), "which parameters change the score, and how sure that is", ("importance",)
    ),
    "curves": Plot(curves, "study", ("curves",), "the learning curves of many trials", ("curves",), options=("scale",)),
    "durations": Plot(durations, "study", ("table",), "how long trials were held by workers"),
    "trial_curves": Plot(
        trial_curves,
        "trial",
        ("trial_curves",),
        "all metrics of a trial, and the changes made while it trained",
        ("curves", "interventions"),
        options=("metric",),
    ),
    "knobs": Plot(
        knobs,
        "trial",
        ("trial_curves", "timeline"),
        "the live parameters of a model, with who changed them and why",
        ("knobs",),
        options=("knob",),
    ),
    "gradients": Plot(gradients, "trial", ("trial_curves",), "the norm of each layer's gradient", ("gradients",)),
    "diagnosis": Plot(
        diagnosis, "trial", ("diagnosis",), "bias, variance and data mismatch, as steps between errors", ("gaps",)
    ),
    "confusion": Plot(confusion, "trial", ("errors",), "which classes are taken for which", ("confusion",)),
    "drift": Plot(
        drift,
        "trial",
        ("trial_curves",),
        "the error on each new portion of a stream, alarms and changes",
        ("portions", "alarms", "interventions"),
    ),
    "grid_against_random": Plot(
        grid_against_random, "study", ("table",), "trials on a grid beside those at random", options=("field",)
    ),
    "beta_scale": Plot(
        beta_scale, "study", ("table",), "where a parameter near 1 was tried, and even steps of it", options=("field",)
    ),
    "zoom": Plot(
        zoom,
        "study",
        ("table", "rounds"),
        "how the rounds of coarse to fine close in",
        ("rows", "boxes"),
        options=("x", "y"),
    ),
    "panda_caviar": Plot(
        panda_caviar, "study", ("table", "curves"), "many models trained once, and one steered", ("curves", "rows")
    ),
    "two_stage": Plot(
        two_stage,
        "study",
        ("table", "curves"),
        "a pipeline and end to end as the data grow",
        ("curves", "rows"),
        ("field",),
    ),
}
"""`fields`: those of the axes ("p0,p3"); `top`: only the best so many per cent; `field`, `x`, `y`: of parameters;
`scale`: linear or log. A picture of several panels is one panel, as wide as its place on a page, if one of `field`,
`metric` or `knob` (the names of a metric and of a parameter) says which."""
