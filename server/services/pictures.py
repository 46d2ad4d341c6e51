"""The specification of each picture, with its data: what `sturgeon/plots` makes of the server's own answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pydantic_core import to_json

from server.services import lookup
from server.services.panda import timeline
from server.services.sampling import rounds
from server.services.sampling.sampler_pool import SamplerPool
from server.services.shown.curve_memo import CurveMemo
from server.services.shown.curves import Wanted, read_curves
from server.services.shown.picture_changes import changes_of
from server.services.shown.recent import RecentTables
from server.services.shown.trial_curves import read_trial_curves
from server.services.trials import findings
from server.store.engine import Database
from sturgeon import messages
from sturgeon.errors import NotFound
from sturgeon.identifiers import TrialNumber
from sturgeon.plots.registry import PLOTS, Need, Plot
from sturgeon.plots.specs import Spec, for_page

POINTS: Final = 200
POINTS_OF_ONE: Final = 1_000


class Pictures:
    """Draws the pictures of one server's studies."""

    def __init__(
        self, database: Database, sampler_pool: SamplerPool, curve_memo: CurveMemo, tables: RecentTables
    ) -> None:
        self._database, self._sampler_pool = database, sampler_pool
        self._curve_memo, self._tables = curve_memo, tables

    def draw(
        self,
        study: str,
        number: TrialNumber | None,
        kind: str,
        options: Mapping[str, str | None],
        *,
        width: int | None,
        with_data: bool,
    ) -> bytes:
        """The specification of a study's picture, or of a trial's, as JSON. Of the options those that the kind takes.

        with_data: else its datasets are empty, and a page fills them. Raises: NotFound (also of the kind).
        """
        spec = self._spec(study, number, kind, options, width=width, with_data=with_data)
        return to_json(spec if with_data else for_page(spec), inf_nan_mode="null")

    def changes(
        self, study: str, number: TrialNumber, kind: str, options: Mapping[str, str | None], since: str
    ) -> bytes:
        """What has changed of a trial's picture on a page, as JSON. Raises: NotFound (also of the kind)."""
        spec = self._spec(study, number, kind, options, width=None, with_data=True)
        return to_json(changes_of(spec, since), inf_nan_mode="null")

    def _spec(
        self,
        study: str,
        number: TrialNumber | None,
        kind: str,
        options: Mapping[str, str | None],
        *,
        width: int | None,
        with_data: bool,
    ) -> Spec:
        plot = _plot(kind, "study" if number is None else "trial")
        answers = {need: self._answer(need, study, number, options.get("metric"), with_data) for need in plot.needs}
        chosen = {name: text for name in plot.options if (text := options.get(name)) is not None}
        return plot.draw(**answers, **chosen, width=width)

    def _answer(
        self, need: Need, study: str, number: TrialNumber | None, metric: str | None, with_data: bool
    ) -> object:
        of_study: dict[str, Callable[[], object]] = {
            "table": lambda: self._tables.read(study, may_grow=True),
            "rounds": lambda: self._rounds(study, with_data),
            "importance": lambda: self._importance(study, with_data),
            "curves": lambda: self._curves(study, metric),
        }
        if number is None:
            return of_study[need]()
        of_trial: dict[str, Callable[[], object]] = {
            "trial_curves": lambda: read_trial_curves(self._database, study, number, POINTS_OF_ONE),
            "timeline": lambda: timeline.read(self._database, study, number),
            "diagnosis": lambda: findings.diagnosis(self._database, study, number),
            "errors": lambda: findings.errors(self._database, study, number),
        }
        return (of_study | of_trial)[need]()

    def _rounds(self, study: str, with_data: bool) -> messages.Rounds:
        """Those of the study, for which the search's history is read. A page has them already."""
        if not with_data:
            return messages.Rounds(study=study, sampler="", items=[])
        return rounds.list_rounds(self._database, self._sampler_pool, study)

    def _importance(self, study: str, with_data: bool) -> messages.Importance:
        if not with_data:
            return messages.Importance(study=study, trials=0, rounds=0, items=[])
        return rounds.importance(self._database, self._sampler_pool, study)

    def _curves(self, study: str, metric: str | None) -> messages.Curves:
        with self._database.reading() as tx:
            found = read_curves(tx, self._curve_memo, lookup.get_study(tx, study), Wanted(POINTS, metric))
        return messages.Curves.model_validate(found)


def _plot(kind: str, of: str) -> Plot:
    plot = PLOTS.get(kind)
    if plot is None or plot.of != of:
        kinds = ", ".join(name for name, one in PLOTS.items() if one.of == of)
        raise NotFound(f"There is no picture {kind!r} of a {of}; there are {kinds}.")
    return plot
