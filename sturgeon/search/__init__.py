"""The search itself: pure functions, without a server.

A space, a seed, a trial's number and what is known so far give a point of the unit cube; the space decodes it:

    from sturgeon.search.coarse_to_fine import suggest
    from sturgeon.search.samplers import Finished, History
    from sturgeon.space import Space

    space = Space.model_validate({"rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"}})
    finished = ()
    for number in range(30):
        point = suggest(space, 7, number, History(finished, ())).point
        finished += (Finished(number, point, loss(**space.decode(point))),)

Scores are minimised; trials that still run stand in the history's second part, so that parallel ones spread. The other
samplers are `random_search`, `sobol_search` and `grid_search`, each in the module of its name; `registry` has all of
them as the service does. `coarse_to_fine.recommend` names the winner, `rounds` shows what the search knows, and
`sturgeon.integrations.optuna` is the same search as a sampler for Optuna.

It stands on NumPy and SciPy, which the client does without: `pip install "sturgeon[local]"` brings them.
"""

from sturgeon.extras import SEARCH as _SEARCH
from sturgeon.extras import require as _require

_require("local", "The search", _SEARCH)
