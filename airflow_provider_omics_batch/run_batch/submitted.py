"""The batches that a task has submitted, as it is remembered over deferrals and tries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from airflow_provider_omics_batch.run_batch.targets import WaitUntil


@dataclass(frozen=True, kw_only=True)
class SubmittedBatch:
    """
    A batch that a task has submitted.

    :param status: As of its submission; not kept.
    :param submitted: How many runs it has; 0 where the author has staged them.
    :param digest: Of the request but its id.
    :param round_number: 0 for the first batch of a try, 1 for the first in which failed runs are sent again.
    :param may_fail: How many of its runs may go wrong: an int, or a float as a fraction of all runs.
    :param resumed: Whether a retry has found it while it was being cancelled.
    :param wait_until: What its task waits for; its manifest is of that moment.
    :param manifest_uri: Where the manifest of this batch alone goes, if there is to be one.
    """

    #: The XCom keys that are there as soon as a batch is submitted.
    IDENTITY: ClassVar = ("batch_id", "batch_arn", "batch_uuid")

    batch_id: str
    batch_arn: str | None = None
    batch_uuid: str | None = None
    status: str = "CREATING"
    submitted: int = 0
    digest: str | None = None
    round_number: int = 0
    may_fail: float = 0
    resumed: bool = False
    wait_until: WaitUntil = "processed"
    manifest_uri: str | None = None

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> SubmittedBatch:
        """Read what was stored, be it by another version."""
        return cls(**{name: stored[name] for name in cls.__dataclass_fields__ if name in stored})

    def stored(self) -> dict[str, Any]:
        """Return what outlasts the moment of submission."""
        return {name: value for name, value in asdict(self).items() if name != "status"}

    @property
    def identity(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.IDENTITY}
