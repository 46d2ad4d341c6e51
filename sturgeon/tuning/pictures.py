"""`study.plot`: the pictures of a study in a notebook, and what the command line draws, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.errors import NotFound, SturgeonError
from sturgeon.extras import require
from sturgeon.plots.registry import PLOTS, Need
from sturgeon.plots.specs import Spec, themed
from sturgeon.plots.theme import Theme

if TYPE_CHECKING:
    import altair

POINTS: Final = 200
"""Points of a curve among many, and of one that is alone 500."""

ALONE: Final = 500

_PARAMETERS: Final = ("field", "fields", "x", "y")
"""Options that name parameters: people write names, specifications have fields."""


def picture(client: Client, study: str, kind: str, number: int | None = None, **options: str | None) -> Spec:
    """The specification of a picture, from what the server answers now.

    number: the trial, of a picture of one. options: those of `PLOTS[kind]`, with names of parameters for its fields,
    and `metric` of curves.
    Raises: NotFound (no such study, trial, kind or parameter), SturgeonError (an option or a trial that it does not
    take, or does need).
    """
    if (plot := PLOTS.get(kind)) is None:
        raise NotFound(f"There is no picture {kind}: write one of {', '.join(PLOTS)}.")
    if (plot.of == "trial") != (number is not None):
        wants = "of one trial: say which" if plot.of == "trial" else "of a whole study: leave the trial out"
        raise SturgeonError(f"{kind} is a picture {wants}.")
    given = {name: value for name, value in options.items() if value is not None}
    metric = given.pop("metric", None) if kind == "curves" else None
    if unknown := given.keys() - set(plot.options):
        raise SturgeonError(f"{kind} takes no {', '.join(sorted(unknown))}.")
    answers = {need: _ASKED[need](client, study, number, metric) for need in plot.needs}
    if "table" in answers:
        given |= {name: _fields(answers["table"], given[name]) for name in _PARAMETERS if name in given}
    return plot.draw(**answers, **given)


def _curves(client: Client, study: str, _number: int | None, metric: str | None) -> m.Curves:
    return client.curves(study, points=POINTS, metric=metric)


_ASKED: Final[Mapping[Need, Callable[[Client, str, Any, str | None], Any]]] = {
    "table": lambda client, study, _number, _metric: client.rows(study),
    "rounds": lambda client, study, _number, _metric: client.rounds(study),
    "importance": lambda client, study, _number, _metric: client.importance(study),
    "curves": _curves,
    "trial_curves": lambda client, study, number, _metric: client.trial_curves(study, number, points=ALONE),
    "timeline": lambda client, study, number, _metric: client.timeline(study, number),
    "diagnosis": lambda client, study, number, _metric: client.diagnosis(study, number),
    "errors": lambda client, study, number, _metric: client.errors(study, number),
}


def _fields(table: m.Table, names: str) -> str:
    """The fields of parameters, of which several are joined by line feeds, as no name has.

    Raises: NotFound (the study has no such parameter).
    """
    fields = {one.name: one.field for one in table.parameters}
    if unknown := [name for name in names.split("\n") if name not in fields]:
        raise NotFound(f"{table.study} has no parameter {unknown[0]}; it has {', '.join(fields)}.")
    return ",".join(fields[name] for name in names.split("\n"))


class Pictures:
    """The pictures of a study. Each is an Altair chart, which a notebook shows; `theme` is light or dark.

    `parallel` is Vega, which Altair has no chart for: what is returned shows itself in a notebook as well.
    Raises: MissingExtra (altair is not installed), and what `picture` raises.
    """

    def __init__(self, client: Callable[[], Client], study: str, theme: Theme = "light") -> None:
        self._client, self._study, self.theme = client, study, theme

    def history(self) -> altair.TopLevelMixin:
        """The score of each trial, and the best so far."""
        return self._chart("history")

    def parallel(self, parameters: Sequence[str] | None = None, top: float | None = None) -> VegaPicture:
        """A line for each trial through all parameters and the score; `top`: only the best so many per cent."""
        named = None if parameters is None else "\n".join(parameters)
        percent = None if top is None else str(float(top))
        return VegaPicture(themed(self._spec("parallel", fields=named, top=percent), self.theme))

    def slice(self, parameter: str | None = None) -> altair.TopLevelMixin:
        """Each parameter against the score, or one of them, with the boxes of each round."""
        return self._chart("slice", field=parameter)

    def map(self, x: str | None = None, y: str | None = None) -> altair.TopLevelMixin:
        """Two parameters as a map, coloured by the score."""
        return self._chart("map", x=x, y=y)

    def importance(self) -> altair.TopLevelMixin:
        """Which parameters change the score, and how sure that is."""
        return self._chart("importance")

    def curves(self, metric: str | None = None, scale: str | None = None) -> altair.TopLevelMixin:
        """The learning curves of all trials; `scale`: linear or log."""
        return self._chart("curves", metric=metric, scale=scale)

    def durations(self) -> altair.TopLevelMixin:
        """How long trials were held by workers."""
        return self._chart("durations")

    def trial(self, number: int, kind: str = "trial_curves", **options: str) -> altair.TopLevelMixin:
        """A picture of one trial: trial_curves, knobs, gradients, diagnosis, confusion or drift."""
        return self._chart(kind, number, **options)

    def _spec(self, kind: str, number: int | None = None, **options: str | None) -> Spec:
        require("notebook", "A picture in a notebook", ("altair",))
        return picture(self._client(), self._study, kind, number, **options)

    def _chart(self, kind: str, number: int | None = None, **options: str | None) -> altair.TopLevelMixin:
        spec = themed(self._spec(kind, number, **options), self.theme)
        import altair

        chart: altair.TopLevelMixin = altair.Chart.from_dict(spec)
        return chart


class VegaPicture:
    """A picture in Vega; `spec` is its specification. Notebooks show it by its type."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def to_dict(self) -> Spec:
        """The specification."""
        return self.spec

    def _repr_mimebundle_(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"application/vnd.vega.v6+json": self.spec, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"VegaPicture({self.spec['title']['text']!r})"
