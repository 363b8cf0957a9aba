"""The errors of HealthOmics, under its own names. Their HTTP status comes from the service model."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class OmicsClientError(ServiceException):
    """The client is to blame."""


class ConflictException(OmicsClientError):  # noqa: N818
    """The state of a resource does not allow the request."""

    code = "ConflictException"


class ResourceNotFoundException(OmicsClientError):  # noqa: N818
    """There is no such resource."""

    code = "ResourceNotFoundException"


class ServiceQuotaExceededException(OmicsClientError):  # noqa: N818
    """The account has as many of them as it may."""

    code = "ServiceQuotaExceededException"


class ThrottlingException(OmicsClientError):  # noqa: N818
    """The operation was called more often than a second allows."""

    code = "ThrottlingException"


class ValidationException(OmicsClientError):  # noqa: N818
    """The request is against the constraints of the model or of the documentation."""

    code = "ValidationException"


#: Where the error of a refusal can be chosen.
ERRORS: dict[str, type[OmicsClientError]] = {
    error.code: error for error in (ConflictException, ValidationException)
}
