"""The emulator keeps to botocore's service model, in what it takes, refuses and answers."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError
from moto.core.utils import camelcase_to_underscores

from airflow_provider_omics_batch import emulator
from airflow_provider_omics_batch.emulator.server import state
from tests.unit.emulator.conformance import MODEL, OPERATIONS, Case, patterns, requests
from tests.unit.emulator.furnished import Furnished
from tests.unit.emulator.patterns import PATTERNS

OTHERS = sorted(set(MODEL.operation_names).difference(OPERATIONS))

README = Path(emulator.__file__).with_name("README.md").read_text()

#: What the message of a refusal says, and of each rule.
BROKEN = "failed to satisfy constraint"
CONSTRAINTS = {
    "required": "not be null",
    "min": "greater than or equal to",
    "max": "less than or equal to",
    "pattern": "regular expression pattern",
    "enum": "enum value set",
    "union": "exactly one of",
}


class Refusal(NamedTuple):
    """
    Requests that are valid for the model, and refused by a documented rule beyond it.

    :param requests: matches an operation and a case of it.
    """

    requests: str
    code: str

    def matches(self, operation: str, case: Case) -> bool:
        name = f"{operation} {case.place}: {case.rule}"
        return case.is_valid and re.fullmatch(self.requests, name) is not None


NOT_FOUND, INVALID = "ResourceNotFoundException", "ValidationException"

#: Each is needed for every request that it matches.
REFUSALS = (
    # These name nothing.
    Refusal(r"(Cancel|Delete|Get|Update)\w+ (id|batchId|taskId): (min|max|pattern)", NOT_FOUND),
    Refusal(r"(ListRunTasks|ListRunsInBatch) (id|batchId): (min|max|pattern)", NOT_FOUND),
    Refusal(r"\w+WorkflowVersions? workflowId: (min|max|pattern)", NOT_FOUND),
    Refusal(r"(Delete|Get|Update)WorkflowVersion versionName: (min|max|pattern)", NOT_FOUND),
    Refusal(r"StartRun workflowVersionName: (min|max|pattern)", NOT_FOUND),
    Refusal(r"StartRunBatch defaultRunSetting.workflowVersionName: (min|max|pattern)", NOT_FOUND),
    Refusal(r"StartRun runId: (min|max|pattern)", NOT_FOUND),
    Refusal(r"\w+Resource resourceArn: (min|max|pattern)", NOT_FOUND),
    Refusal(r"StartRunBatch batchRunSettings.s3UriSettings: (min|max|pattern)", INVALID),
    # These were not handed out with a page.
    Refusal(r"\w+ startingToken: (min|max|pattern)", INVALID),
    # Workflows are private ones of this account, and batches are of such.
    Refusal(r"(GetWorkflow|GetWorkflowVersion|ListWorkflowVersions) type: enum READY2RUN", NOT_FOUND),
    Refusal(r"(GetWorkflow|GetWorkflowVersion|ListWorkflowVersions) workflowOwnerId: pattern", NOT_FOUND),
    Refusal(r"StartRunBatch defaultRunSetting.workflowType: enum READY2RUN", INVALID),
    # Outputs go to S3.
    Refusal(r"StartRun outputUri: (min|pattern)", INVALID),
    Refusal(r"StartRunBatch defaultRunSetting.outputUri: (min|pattern)", INVALID),
)


class Answer(NamedTuple):
    """
    What a client is told.

    :param wrong: where the answer is not as the model has it.
    """

    status: int
    code: str = ""
    message: str = ""
    wrong: tuple[str, ...] = ()


def ask(client: Any, operation: str, request: Any) -> Answer:
    try:
        answer = getattr(client, camelcase_to_underscores(operation))(**request)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return Answer(status, error.response["Error"]["Code"], error.response["Error"]["Message"])
    return Answer(answer["ResponseMetadata"]["HTTPStatusCode"], wrong=tuple(answer["Wrong"]))


def is_as_the_model_says(operation: str, case: Case, answer: Answer) -> bool:
    if case.is_valid:
        refused = (refusal.code for refusal in REFUSALS if refusal.matches(operation, case))
        if code := next(refused, None):
            return answer.code == code and BROKEN not in answer.message
        return answer == Answer(MODEL.operation_model(operation).http["responseCode"])
    rule = f"at '{re.escape(case.place)}' {BROKEN}: Member must [^;]*{CONSTRAINTS[case.rule.split()[0]]}"
    refused = (answer.status, answer.code) == (400, "ValidationException")
    return refused and re.search(rule, answer.message) is not None


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_member_takes_what_the_model_allows_and_nothing_beyond(
    unchecked: Any, furnished: Furnished, operation: str
) -> None:
    account = BytesIO()
    state.take(account)
    wrong = []
    for case in requests(operation, furnished.of(operation)):
        account.seek(0)
        state.restore(account)
        answer = ask(unchecked, operation, case.value)
        if not is_as_the_model_says(operation, case, answer):
            wrong.append(f"{case} -> {answer!s:.200}")

    assert wrong == []


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.requests)
def test_each_rule_beyond_the_model_is_met(refusal: Refusal) -> None:
    met = ((operation, case) for operation in OPERATIONS for case in requests(operation))

    assert any(refusal.matches(operation, case) for operation, case in met)


def test_each_pattern_of_the_model_is_tried_with_texts_just_beyond() -> None:
    """A newer model may have another: give it an entry in ``PATTERNS``."""
    met = {
        pattern
        for operation in OPERATIONS
        for pattern in patterns(MODEL.operation_model(operation).input_shape)
    }

    assert met == PATTERNS.keys()


@pytest.mark.parametrize("operation", OTHERS)
def test_an_operation_that_is_not_emulated_says_so_by_its_name(
    unchecked: Any, configure: Any, operation: str
) -> None:
    request = next(requests(operation)).value

    assert ask(unchecked, operation, request) == Answer(
        501, "NotImplementedException", f"The emulator has no {operation}"
    )


def test_the_readme_lists_the_operations_that_are_emulated() -> None:
    listed = re.findall(
        r"`([A-Z]\w+)`", README.partition("\n## What is there\n")[2].partition("\n\nEvery other operation")[0]
    )

    assert sorted(listed) == OPERATIONS
