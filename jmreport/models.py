"""The Job Manager API's own nouns, as frozen views over the JSON a server sent.

Written by hand from the API's definitions and held against them by tests/test_models.py. A view
keeps no unknown fields, so what is stored is the JSON tree as received; these Structs only read it.
Servers are wider than the API: words for status are open, labels hold any scalar, inputs and
outputs hold any JSON, `truncated` is a boolean or a string, and dates may be naive. So dates stay
text here (`jmreport.records.moment` reads them) and what servers widen is typed as wide as it is.
"""

from typing import Any, Literal

from msgspec import Struct, field

#: A server's word for how a job stands. Open: `Paused` must not raise.
JobStatus = str
JOB_STATUSES = ("Submitted", "OnHold", "Running", "Aborting", "Failed", "Succeeded", "Aborted")
#: Jobs that will still change.
ACTIVE_STATUSES = ("Submitted", "OnHold", "Running", "Aborting")
#: Jobs that will not change any more.
TERMINAL_STATUSES = ("Failed", "Succeeded", "Aborted")

TimeFrame = Literal["HOURS_1", "HOURS_8", "HOURS_24", "DAYS_7", "DAYS_30", "ALL_TIME"]
TIME_FRAMES: tuple[TimeFrame, ...] = (
    "HOURS_1",
    "HOURS_8",
    "HOURS_24",
    "DAYS_7",
    "DAYS_30",
    "ALL_TIME",
)

#: How a display field is shown and edited. Open, like every word of a server.
FieldType = str
FIELD_TYPES = ("text", "date", "list")

#: An RFC 3339 date-time as the server wrote it.
DateTime = str


def is_failure(word: object) -> bool:
    """Whether a status of a task, a shard or an attempt says that it failed, in any word for it.

    >>> is_failure("Failed"), is_failure("RetryableFailure"), is_failure("failed"), is_failure(None)
    (True, True, True, False)
    """
    return word == "Failed" or (isinstance(word, str) and "fail" in word.casefold())


class ApiModel(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """A definition of the API. Attributes are its properties in snake case.

    Python's collector leaves them alone: what was JSON holds no cycle.
    """


class AuthenticationCapability(ApiModel, frozen=True, kw_only=True):
    is_required: bool | None = None
    scopes: tuple[str, ...] = ()
    forced_logout_domains: tuple[str, ...] = ()
    forced_logout_time: int | None = None
    outside_auth: bool = False


class DisplayField(ApiModel, frozen=True, kw_only=True):
    field: str
    display: str
    editable: bool = False
    bulk_editable: bool = False
    field_type: FieldType = "text"
    valid_field_values: tuple[str, ...] = ()
    primary: bool = True
    filterable: bool = False


class BulkLabelField(ApiModel, frozen=True, kw_only=True):
    display_field: DisplayField
    default: str | None = None


class CapabilitiesResponse(ApiModel, frozen=True, kw_only=True):
    authentication: AuthenticationCapability | None = None
    display_fields: tuple[DisplayField, ...] = ()
    common_labels: tuple[str, ...] = ()
    query_extensions: tuple[str, ...] = ()
    #: None where the server does not say (both shims), which is not the same as none offered.
    aggregation_time_frames: tuple[str, ...] | None = None


class EventDetail(ApiModel, frozen=True, kw_only=True):
    time: DateTime | None = None
    content: str | None = None


class ExecutionEvent(ApiModel, frozen=True, kw_only=True):
    name: str | None = None
    start: DateTime | None = None
    end: DateTime | None = None
    attempt_number: int | None = None
    shard_index: int | None = None


class IndividualAttempt(ApiModel, frozen=True, kw_only=True):
    attempt_number: int | None = None
    execution_status: JobStatus | None = None
    call_cached: bool = False
    backend_log: str | None = None
    call_root: str | None = None
    operation_id: str | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    start: DateTime | None = None
    end: DateTime | None = None
    failure_messages: tuple[str, ...] = ()


class JobAttemptsResponse(ApiModel, frozen=True, kw_only=True):
    attempts: tuple[IndividualAttempt, ...] = ()


class Shard(ApiModel, frozen=True, kw_only=True):
    execution_status: JobStatus | None = None
    start: DateTime | None = None
    end: DateTime | None = None
    shard_index: int | None = None
    backend_log: str | None = None
    call_root: str | None = None
    operation_id: str | None = None
    attempts: int | None = None
    failure_messages: tuple[str, ...] = ()
    attempts_data: tuple[IndividualAttempt, ...] = ()
    job_id: str | None = None


class ShardStatusCount(ApiModel, frozen=True, kw_only=True):
    status: JobStatus | None = None
    count: int | None = None


class TaskMetadata(ApiModel, frozen=True, kw_only=True):
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    execution_status: JobStatus | None = None
    start: DateTime | None = None
    end: DateTime | None = None
    name: str | None = None
    shards: tuple[Shard, ...] = ()
    failure_messages: tuple[str, ...] = ()
    return_code: int | None = None
    backend_log: str | None = None
    call_root: str | None = None
    operation_id: str | None = None
    #: Runs of the task; of a scattered task its number of shards (Cromwell).
    attempts: int | None = None
    attempts_data: tuple[IndividualAttempt, ...] = ()
    job_id: str | None = None
    call_cached: bool = False
    execution_events: tuple[ExecutionEvent, ...] = ()


class ExtendedFields(ApiModel, frozen=True, kw_only=True):
    user_id: str | None = None
    status_detail: str | None = None
    logs: dict[str, Any] = field(default_factory=dict)
    last_update: DateTime | None = None
    envs: dict[str, Any] = field(default_factory=dict)
    source_file: str | None = None
    parent_job_id: str | None = None
    tasks: tuple[TaskMetadata, ...] = ()
    events: tuple[EventDetail, ...] = ()


class FailureMessage(ApiModel, frozen=True, kw_only=True):
    failure: str
    task_name: str | None = None
    timestamp: DateTime | None = None
    backend_log: str | None = None
    call_root: str | None = None
    operation_id: str | None = None
    shard_index: int | None = None
    job_id: str | None = None


class QueryJobsResult(ApiModel, frozen=True, kw_only=True):
    id: str
    status: JobStatus
    submission: DateTime
    name: str | None = None
    start: DateTime | None = None
    end: DateTime | None = None
    labels: dict[str, Any] = field(default_factory=dict)
    extensions: ExtendedFields = field(default_factory=ExtendedFields)


class JobMetadataResponse(ApiModel, frozen=True, kw_only=True):
    id: str
    status: JobStatus
    submission: DateTime
    name: str | None = None
    start: DateTime | None = None
    end: DateTime | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    failures: tuple[FailureMessage, ...] = ()
    extensions: ExtendedFields = field(default_factory=ExtendedFields)


class ExtendedQueryFields(ApiModel, frozen=True, kw_only=True):
    project_id: str | None = None
    user_id: str | None = None
    hide_archived: bool | None = None


class QueryJobsRequest(ApiModel, frozen=True, kw_only=True):
    """Unset keys are left out when encoded: a null is refused by both shims."""

    start: DateTime | None = None
    end: DateTime | None = None
    submission: DateTime | None = None
    status: tuple[JobStatus, ...] | None = None
    labels: dict[str, str] | None = None
    id: str | None = None
    name: str | None = None
    page_size: int | None = None
    page_token: str | None = None
    extensions: ExtendedQueryFields | None = None


class QueryJobsResponse(ApiModel, frozen=True, kw_only=True):
    results: tuple[QueryJobsResult, ...]
    total_size: float | None = None
    next_page_token: str | None = None


class StatusCount(ApiModel, frozen=True, kw_only=True):
    status: JobStatus | None = None
    count: int | None = None


class StatusCounts(ApiModel, frozen=True, kw_only=True):
    counts: tuple[StatusCount, ...] = ()


class AggregationEntry(ApiModel, frozen=True, kw_only=True):
    #: Text by the API; dsub sends integers too.
    label: str | int | float | bool | None = None
    status_counts: StatusCounts = field(default_factory=StatusCounts)


class Aggregation(ApiModel, frozen=True, kw_only=True):
    name: str | None = None
    key: str | None = None
    entries: tuple[AggregationEntry, ...] = ()


class AggregationResponse(ApiModel, frozen=True, kw_only=True):
    summary: StatusCounts = field(default_factory=StatusCounts)
    aggregations: tuple[Aggregation, ...] = ()


class JobOperationResponse(ApiModel, frozen=True, kw_only=True):
    #: JSON inside a string.
    details: str | None = None
    id: str | None = None


class FileContents(ApiModel, frozen=True, kw_only=True):
    contents: str
    #: Text by the API; a boolean from the Cromwell shim.
    truncated: str | bool


class HealthResponse(ApiModel, frozen=True, kw_only=True):
    available: bool | None = None


class UpdateJobLabelsRequest(ApiModel, frozen=True, kw_only=True):
    labels: dict[str, str] = field(default_factory=dict)


class UpdateJobLabelsResponse(ApiModel, frozen=True, kw_only=True):
    labels: dict[str, Any] = field(default_factory=dict)
