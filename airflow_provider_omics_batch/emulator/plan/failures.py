"""Which runs fail by rule, where chance is not to decide."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.emulator.plan.chance import RUN_FAILURES, SUBMISSION_FAILURES, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_omics_batch.emulator.resources.run_settings import RunSetting

_MESSAGE = "The emulator was told that the run fails so."

#: What else is documented beside what chance deals out.
_OTHER_SUBMISSION_FAILURES = (
    Failure("ConflictException", _MESSAGE, passing=True),
    Failure("InternalServerException", _MESSAGE, passing=True),
    Failure("RequestTimeoutException", _MESSAGE, passing=True),
    Failure("ResourceNotFoundException", _MESSAGE),
)
_OTHER_RUN_FAILURES = tuple(
    Failure(reason, _MESSAGE)
    for reason in (
        "ASSUME_ROLE_FAILED",
        "CANNOT_START_CONTAINER_ERROR",
        "CANNOT_START_CONTAINER_SIZE_ERROR",
        "ECR_PERMISSION_ERROR",
        "EXPORT_FAILED",
        "IMAGE_VERIFICATION_FAILURE",
        "IMPORT_FAILED",
        "INACTIVE_OMICS_STORAGE_RESOURCE",
        "INVALID_ECR_IMAGE_URI",
        "INVALID_TASK_RESOURCE_VALUE",
        "INVALID_URI_INPUT",
        "MODIFIED_INPUT_RESOURCE",
        "RUN_TIMED_OUT",
        "TASK_TIMED_OUT",
        "UNSUPPORTED_GPU_INSTANCE_TYPE",
        "UNSUPPORTED_INPUT_SIZE",
        "WORKFLOW_RUN_FAILED",
        "WORKFLOW_VER_VALIDATION_FAILED",
    )
)
REFUSALS = {each.reason: each for each in (*SUBMISSION_FAILURES, *_OTHER_SUBMISSION_FAILURES)}
FAILURES = REFUSALS | {each.reason: each for each in (*RUN_FAILURES, *_OTHER_RUN_FAILURES)}


@dataclass(frozen=True, kw_only=True)
class FailureRule:
    """
    Which runs fail, and why; ``ValueError`` if it makes no sense.

    In patterns ``*`` stands for any text, ``?`` for any character and ``[abc]`` for one of these.

    :param reason: a documented one: of a submission, as in ``AccessDeniedException``, or of a run, as in
        ``OUT_OF_MEMORY_ERROR``.
    :param run_setting_id: a pattern that the runSettingId must match.
    :param parameters: by the names of parameters, patterns that all must match; a value that is not a string
        is compared as JSON.
    :param message: the sentence that goes with the reason.
    :param passing: the run gets through when it is sent again; follows from the reason unless given.
    """

    reason: str
    run_setting_id: str = "*"
    parameters: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None
    passing: bool | None = None

    def __post_init__(self) -> None:
        if self.reason not in tuple(FAILURES):
            raise ValueError(f"reason must be one of {', '.join(FAILURES)}, not {self.reason!r}")
        patterns = self.parameters.values() if isinstance(self.parameters, dict) else [None]
        if not all(isinstance(pattern, str) for pattern in (self.run_setting_id, *patterns)):
            raise ValueError("run_setting_id must be a pattern, and parameters an object of patterns")
        if not isinstance(self.message, str | None) or not isinstance(self.passing, bool | None):
            raise ValueError("message must be a text, and passing true or false")

    @property
    def failure(self) -> Failure:
        known = FAILURES[self.reason]
        return replace(
            known,
            message=known.message if self.message is None else self.message,
            passing=known.passing if self.passing is None else self.passing,
        )

    def fits(self, run_setting_id: str, parameters: Mapping[str, Any]) -> bool:
        return fnmatchcase(run_setting_id, self.run_setting_id) and all(
            name in parameters and fnmatchcase(_text(parameters[name]), pattern)
            for name, pattern in self.parameters.items()
        )


def first_rule(rules: Sequence[FailureRule], default: RunSetting, setting: RunSetting) -> FailureRule | None:
    """Find the rule by which a run is to fail: the first one that fits."""
    if not rules:
        return None
    parameters = {**(default.get("parameters") or {}), **(setting.get("parameters") or {})}
    fitting = (rule for rule in rules if rule.fits(setting["runSettingId"], parameters))
    return next(fitting, None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
