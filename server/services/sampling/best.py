"""The best trials of a study, whether the lead of the first is more than luck, and which trial to take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from server.services import views
from server.services.sampling.sampler_pool import SamplerPool
from server.store.best_trials import best_group_of_each, best_groups, complete_of
from server.store.engine import Transaction
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.search.coarse_to_fine import models_noise, recommend
from sturgeon.search.samplers import evidence_of
from sturgeon.search.separation import separable, spread


def best_trials(tx: Transaction, study: StudyRow, most: int) -> list[messages.BestTrial]:
    """The best complete trials, the best first; trials with the same parameters count as one, by their mean."""
    groups = best_groups(tx, study, most)
    complete = complete_of(tx, study, groups)
    return [views.best_trial(complete[group], study.replicates) for group in groups]


def best_of_each(tx: Transaction, studies: Sequence[StudyRow]) -> dict[int, list[messages.BestTrial]]:
    """Study id -> a list with its best trial, empty where there is none. Two statements for all studies."""
    complete = best_group_of_each(tx, studies)
    return {
        study.id: [views.best_trial(complete[study.id], study.replicates)] if study.id in complete else []
        for study in studies
    }


def best_of(tx: Transaction, sampler_pool: SamplerPool, study: StudyRow, k: int) -> messages.Best:
    """The `k` best, whether the first is separable from the second, and the trial to take."""
    items = best_trials(tx, study, max(k, 2))
    answer = messages.Best(items=items[:k], recommended=_recommended(tx, sampler_pool, study, items))
    if study.replicates > 1 and len(items) > 1:
        answer.separable, answer.verdict = _verdict(study, *items[:2])
    return answer


def _verdict(study: StudyRow, first: messages.BestTrial, second: messages.BestTrial) -> tuple[bool, str]:
    """Whether the first is better by more than its seeds explain, and a sentence that says so."""
    apart = separable(*(spread(item.replicates.values) for item in (first, second) if item.replicates is not None))
    lead = (
        f"Trial {first.number}'s mean {study.metric} {_mean_of(first)} is better than "
        f"{second.number}'s {_mean_of(second)} "
        "by more than the seeds explain"
        if apart
        else f"Not separable: trial {first.number}'s mean {study.metric} {_mean_of(first)} may be better than "
        f"{second.number}'s {_mean_of(second)} by its seeds alone; enqueue both again to find out"
    )
    return apart, f"{lead} (Welch's t test at 5 %)."


def _mean_of(item: messages.BestTrial) -> str:
    assert item.replicates is not None
    error = item.replicates.standard_error
    return f"{item.value:.4g} ± {'?' if error is None else f'{error:.2g}'} (n = {len(item.replicates.values)})"


class Choice(NamedTuple):
    """The number of the trial to take, and whether a model has separated its merit from its luck."""

    number: int | None
    modelled: bool


def _recommended(
    tx: Transaction, sampler_pool: SamplerPool, study: StudyRow, items: list[messages.BestTrial]
) -> messages.Recommended | None:
    """The complete trial with the best score when the noise is taken out, as a model of all results estimates it."""
    number, modelled = _choice(tx, sampler_pool, study)
    if number is None:
        return None
    taken = views.best_trial(complete_of(tx, study, [number])[number], study.replicates)
    return _with_reason(study, taken, items[0], modelled=modelled)


def _choice(tx: Transaction, sampler_pool: SamplerPool, study: StudyRow) -> Choice:
    """The choice among the complete trials. For the same results and space the model is fitted only the first time."""
    space, history = sampler_pool.history_now(tx, study)
    evidence = evidence_of(history, len(space.searched))

    complete = frozenset(evidence.finished.numbers[evidence.finished.complete].tolist())
    if study.replicates > 1:  # the search learns from a group of which a trial was pruned, too
        complete &= frozenset(best_groups(tx, study, study.next_number))

    def choose() -> Choice:
        number = recommend(space, study.seed, evidence, among=complete)
        return Choice(number, number is not None and models_noise(space, evidence))

    about = (study.revision, evidence, complete)
    return sampler_pool.cache_of(study).memo.recall("recommended", about, choose)


def _with_reason(
    study: StudyRow, taken: messages.BestTrial, top: messages.BestTrial, *, modelled: bool
) -> messages.Recommended:
    return messages.Recommended(**taken.model_dump(), why=_why(study, taken, top, modelled=modelled))


def _why(study: StudyRow, taken: messages.BestTrial, top: messages.BestTrial, *, modelled: bool) -> str:
    if not modelled:
        return (
            f"Trial {taken.number} has the best {study.metric} of those in the present space; how much of that is luck "
            "is not known: there are too few results, or too many parameters for a model."
        )
    if taken.number == top.number:
        return f"Trial {taken.number} has the best {study.metric}, and the results around it agree."
    if taken.value == top.value:
        return (
            f"Trials {top.number} and {taken.number} have the same best {study.metric}; by all results together, trial "
            f"{taken.number} is the best in the present space."
        )
    return (
        f"Trial {top.number} has the best {study.metric} ({top.value:.4g}), but that looks like luck, or lies outside "
        f"the present space. By all results together, trial {taken.number} ({taken.value:.4g}) is the best in it."
    )
