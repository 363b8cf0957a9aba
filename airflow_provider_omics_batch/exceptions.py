"""
What can go wrong, as one tree.

::

    ValueError
    └── RunSettingsError            bad input, found before anything was sent to AWS
    AirflowException
    ├── RunBatchError               about a batch that exists: carries its id and summary
    │   ├── RunBatchFailedError     the batch is not, or has not ended, as the task needs it
    │   └── RunBatchTimeoutError    the batch did not come in time to what it was waited for
    │       └── RunBatchSensorTimeoutError      the same of a sensor: also an AirflowSensorTimeout
    └── IncompleteAnswerError       an answer without what makes it one, as from a proxy

What AWS itself refuses stays a :class:`botocore.exceptions.ClientError`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowSensorTimeout


class RunSettingsError(ValueError):
    """
    The run settings cannot be submitted as they are; nothing has been sent.

    :param problems: One sentence for each problem, naming the row or the field.
    :param rest: What has not been checked, if anything.
    """

    def __init__(self, *problems: str, rest: str | None = None) -> None:
        self.problems = problems
        self.rest = rest
        super().__init__(*problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        lines = (f"{len(self.problems)} problems, nothing was submitted:", *self.problems, self.rest)
        return "\n  ".join(filter(None, lines))


class RunBatchError(AirflowException):
    """
    Something is wrong with a batch that exists.

    :param message: What happened, and what to do about it.
    :param batch_id: The batch that this is about.
    :param summary: How far the batch is, in the form of the task's return value; empty where nobody has told.
    """

    def __init__(self, message: str, batch_id: str, summary: dict[str, Any]) -> None:
        super().__init__(message)
        self.batch_id = batch_id
        self.summary = summary

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.batch_id, self.summary)


class RunBatchFailedError(RunBatchError):
    """The batch is not, or has not ended, as the task needs it."""


class RunBatchTimeoutError(RunBatchError):
    """The batch did not come in time to what it was waited for."""


class RunBatchSensorTimeoutError(RunBatchTimeoutError, AirflowSensorTimeout):
    """A sensor's ``timeout`` is over; Airflow does not try again."""


class IncompleteAnswerError(AirflowException):
    """
    An answer without what makes it one, as a proxy's page with status 200 would be.

    :param operation: What was asked, by its boto3 name.
    :param member: What the answer lacks.
    """

    def __init__(self, operation: str, member: str) -> None:
        super().__init__(f"the answer to {operation} has no {member}")
