"""Which faults pass by themselves, and what to do about the others."""

from __future__ import annotations

import socket
import ssl

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ResponseStreamingError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from botocore.parsers import ResponseParserError

from airflow_provider_omics_batch.exceptions import IncompleteAnswerError

#: The credentials are not accepted as they are: rotated, expired, or not yet known everywhere.
STALE_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    }
)

_THROTTLED = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"}
)

#: Where a connection cannot be read, there is no Region either.
_NO_CREDENTIALS: tuple[type[Exception], ...] = (
    NoCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    NoRegionError,
)

#: No answer has come.
_UNANSWERED: tuple[type[Exception], ...] = (
    BotoConnectionError,
    HTTPClientError,
    ConnectionError,
    TimeoutError,
    socket.gaierror,
    ssl.SSLError,
)

_PASSING: tuple[type[Exception], ...] = (
    *_NO_CREDENTIALS,
    *_UNANSWERED,
    ResponseParserError,
    ResponseStreamingError,
)

#: What the caller must be allowed to do, beside the operation itself.
#: https://docs.aws.amazon.com/omics/latest/dev/workflows-batch.html
_ALSO_NEEDED = {
    "StartRunBatch": (
        "omics:StartRun, iam:PassRole on the roleArn, and omics:TagResource for tags; "
        "the role must trust omics.amazonaws.com and be able to read the settings object in S3"
    ),
    "CancelRunBatch": "omics:CancelRun",
    "DeleteRunBatch": "omics:DeleteRun",
}


_HOST_PREFIX = (
    "botocore puts workflows- before the host of HealthOmics. For an endpoint that has no such host, like "
    'the emulator\'s, set "config_kwargs": {"inject_host_prefix": false} in the connection\'s extra'
)

_NO_RECORD = (
    "HealthOmics has no record of the batch: it was deleted, or the id is not one of this account and Region"
)

_ANOTHER_INPUT = (
    "HealthOmics knows this request id with another input: what the task submits has changed since an "
    "earlier submission, whose batch goes on and is not paid for again. Restore the input to wait for that "
    "batch, or clear the task to start a new one; where you give the request_id, give another one"
)


#: Whatever may go wrong with a call, on this side or on the other.
FAULTS: tuple[type[Exception], ...] = (ClientError, BotoCoreError, OSError, IncompleteAnswerError)


def code_of(error: BaseException) -> str:
    """Return AWS's code for an error, or the class's name."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return type(error).__name__


def _is_throttling(error: BaseException) -> bool:
    return code_of(error) in _THROTTLED or _http_status(error) == 429


def is_about_credentials(error: BaseException) -> bool:
    """Return whether there are no credentials, or none that AWS accepts."""
    return isinstance(error, _NO_CREDENTIALS) or code_of(error) in STALE_CREDENTIALS


def is_unanswered(error: BaseException) -> bool:
    """Return whether no answer has come, so that the way to the service may be another by now."""
    return isinstance(error, _UNANSWERED)


def is_passing(error: BaseException) -> bool:
    """Return whether the same call may succeed later with nothing done about it."""
    if isinstance(error, ClientError):
        status = _http_status(error)
        if status == 501:
            return False
        return _is_throttling(error) or is_about_credentials(error) or status == 408 or status >= 500
    return isinstance(error, (*_PASSING, IncompleteAnswerError))


def remedy(error: BaseException) -> str | None:
    """Return what a person can do about a refusal, or ``None`` where AWS's own message says it."""
    if isinstance(error, EndpointConnectionError) and "//workflows-" in str(error):
        return _HOST_PREFIX
    if not isinstance(error, ClientError):
        return None
    operation = error.operation_name
    if (operation, code_of(error)) == ("GetBatch", "ResourceNotFoundException"):
        return _NO_RECORD
    if (operation, code_of(error)) == ("StartRunBatch", "ConflictException"):
        return _ANOTHER_INPUT
    if code_of(error) == "AccessDeniedException":
        also = _ALSO_NEEDED.get(operation)
        return f"The caller needs omics:{operation}" + (f", {also}" if also else "")
    return None


def _http_status(error: BaseException) -> int:
    if not isinstance(error, ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
