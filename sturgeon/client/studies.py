"""The routes of studies."""

from __future__ import annotations

from collections.abc import Mapping

from sturgeon import messages as m
from sturgeon.client.connected import Connected
from sturgeon.client.requests import (
    as_dict,
    given,
    paged,
    study_path,
)
from sturgeon.replays import joined


class StudyRoutes(Connected):
    """Create, read, change and explain studies."""

    def create_study(self, study: m.StudyRequest | Mapping[str, object], dry_run: bool = False) -> m.Study:
        """dry_run: only let the server check it; the answer is what would be created."""
        query = {"dry_run": "true"} if dry_run else None
        return self._wire.ask(m.Study, "POST", "/v1/studies", as_dict(study), query=query, once=not dry_run)

    def studies(
        self, page_size: int | None = None, page_token: str | None = None, tag: str | None = None
    ) -> m.Page[m.Study]:
        query = paged(page_size, page_token) | given(tag=tag)
        return self._wire.ask(m.Page[m.Study], "GET", "/v1/studies", query=query)

    def study(self, study: str) -> m.Study:
        return self._wire.ask(m.Study, "GET", study_path(study))

    def patch_study(self, study: str, patch: m.StudyPatch | Mapping[str, object]) -> m.Study:
        return self._wire.ask(m.Study, "PATCH", study_path(study), as_dict(patch), once=True)

    def delete_study(self, study: str, force: bool = False) -> None:
        self._wire.send("DELETE", study_path(study), query={"force": "true"} if force else {}, once=True)

    def best(self, study: str, k: int = 1) -> m.Best:
        """The `k` best trials, best first."""
        return self._wire.ask(m.Best, "GET", f"{study_path(study)}/best", query={"k": k})

    def events(
        self,
        study: str,
        page_size: int | None = None,
        page_token: str | None = None,
        number: int | None = None,
        newest_first: bool | None = None,
    ) -> m.Page[m.Event]:
        """What happened to a study, or to one trial of it, the oldest first unless said otherwise."""
        query = paged(page_size, page_token) | given(number=number, newest_first=newest_first)
        return self._wire.ask(m.Page[m.Event], "GET", f"{study_path(study)}/events", query=query)

    def rounds(self, study: str) -> m.Rounds:
        """What coarse to fine believed when each of its rounds began: boxes, importance, elites, alarms."""
        return self._wire.ask(m.Rounds, "GET", f"{study_path(study)}/rounds")

    def importance(self, study: str) -> m.Importance:
        """Which parameters change the score, the most important first."""
        return self._wire.ask(m.Importance, "GET", f"{study_path(study)}/importance")

    def replay(self, study: str, page_size: int | None = None, page_token: str | None = None) -> m.Replay:
        """Derive all samples of the study again from the record. With a size or a token, those of one page of trials,
        100 unless said otherwise."""

        def page(size: int | None, token: str | None) -> m.Replay:
            return self._wire.ask(m.Replay, "GET", f"{study_path(study)}/replay", query=paged(size, token))

        pages = [page(page_size, page_token)]
        if page_size is not None or page_token is not None:
            return pages[0]
        while (token := pages[-1].next_page_token) is not None:
            pages.append(page(None, token))
        return joined(pages)

    def revisions(
        self, study: str, page_size: int | None = None, page_token: str | None = None
    ) -> m.Page[m.SpaceRevision]:
        """The spaces that the study had, the oldest first."""
        query = paged(page_size, page_token)
        return self._wire.ask(m.Page[m.SpaceRevision], "GET", f"{study_path(study)}/revisions", query=query)

    def late_results(
        self, study: str, page_size: int | None = None, page_token: str | None = None
    ) -> m.Page[m.LateResult]:
        """What came after its lease was lost."""
        query = paged(page_size, page_token)
        return self._wire.ask(m.Page[m.LateResult], "GET", f"{study_path(study)}/late-results", query=query)
