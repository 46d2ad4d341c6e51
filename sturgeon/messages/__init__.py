"""Requests and answers of the HTTP interface, as pydantic models.

Requests are strict: an unknown field, a boolean for a number, or a number that is not finite is refused.
Answers ignore fields that they do not know, so that an older client works with a newer server.

A module is imported when one of its names is first used: a command of the command line needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sturgeon.messages.audit import *
    from sturgeon.messages.findings import *
    from sturgeon.messages.forms import *
    from sturgeon.messages.imports import *
    from sturgeon.messages.leases import *
    from sturgeon.messages.metadata import *
    from sturgeon.messages.policies import *
    from sturgeon.messages.records import *
    from sturgeon.messages.rows import *
    from sturgeon.messages.searches import *
    from sturgeon.messages.steering import *
    from sturgeon.messages.studies import *
    from sturgeon.messages.tasks import *
    from sturgeon.messages.tokens import *
    from sturgeon.messages.trials import *
    from sturgeon.messages.webhooks import *

_NAMES: Final = {
    "audit": "ACTION AuditEntry",
    "findings": "DatasetSummary DiagnosisFinding ErrorAnalysis ErrorsFinding FindingKind",
    "forms": """
        LARGEST_EPOCH LARGEST_FENCE LARGEST_GRID LARGEST_LOG LARGEST_SEED LARGEST_STACK LARGEST_STEP
        MOST_LEASES STUDY_NAME WORKER_NAME Answer Count Direction Epoch Fallback Fence Item Label Metrics
        Number Page Params Reason Request Seed Sha256 Step StudyName Version WorkerName
    """,
    "imports": "ImportAnswer ImportedOne ImportedReport ImportedTrial ImportRequest",
    "leases": """
        AskRequest Held Lease Looks LeaseRequest Leases Lost ReleaseRequest RenewAnswer Renewed RenewRequest
        Report ReportAnswer ReportRequest RunEvent TellManyAnswer TellManyRequest TellOne TellRequest
        ToldOne WhyLost WhyNothing
    """,
    "metadata": "TAG CodeVersion DataVersion RunVersions TrialPatch VersionChange",
    "policies": """
        DivergencePolicy DriftPolicy Guard GuardPolicy Planned PlateauPolicy Policies Policy SchedulePolicy
    """,
    "records": "Checkpoint Event Health LateResult ProblemAnswer Row Tag TagsRequest TrialName Worker",
    "rows": """
        Curve Curves Intervention MetricCurve MetricGroup Overview StreamEvent StudySketch Table TableParameter TableRow
        TrialCurves
    """,
    "searches": """
        FoundIn Importance NumericsUsed ParameterImportance ParameterPreview Preview PreviewRequest Replay
        ReplayMismatch Round RoundBox Rounds SamplerName Search
    """,
    "steering": """
        Branch EntryState ForkRequest Lineage LostCheckpoint ParamsPatch PromoteRequest Proposal Relative
        RollbackRequest Start Steered SteerRequest Timeline TimelineEntry Verb
    """,
    "studies": """
        Best BestTrial Budget BudgetPatch Pruning Recommended Reduce Replicates SpaceRevision Spent StopWhen
        Study StudyPatch StudyRequest Unable
    """,
    "tasks": """
        OWN_KINDS TRIAL_PLACEHOLDERS CheckpointRule CommandTask Limits MetricSources Needs OwnCode
        PythonTask StudyTask TaskKind TrainStudyTask
    """,
    "tokens": "LONGEST_TOKEN_S NewToken Token TokenName TokenRequest TokenScope",
    "trials": """
        Change Desired Drawn EnqueueRequest Invalid InvalidateRequest Parent ReportedMetrics Resume Trial
    """,
    "webhooks": "Delivery NewWebhook Webhook WebhookEvent WebhookRequest",
}
"""The names that each module has for others."""

_WHERE: Final = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
