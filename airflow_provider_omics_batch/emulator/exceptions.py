"""The errors of HealthOmics, under its own names. Their HTTP status comes from the service model."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class OmicsClientError(ServiceException):
    """The client is to blame."""


class ConflictException(OmicsClientError):  # noqa: N818
    """The state of a batch does not allow the request."""

    code = "ConflictException"


class ResourceNotFoundException(OmicsClientError):  # noqa: N818
    """There is no such batch or run."""

    code = "ResourceNotFoundException"


class ValidationException(OmicsClientError):  # noqa: N818
    """The request is against the constraints of the model or of the documentation."""

    code = "ValidationException"
