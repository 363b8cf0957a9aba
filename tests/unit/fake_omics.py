"""A HealthOmics that answers from a script, held against botocore's service model both ways."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

SERVICE_MODEL = ServiceModel(Loader().load_service_model("omics", "service-2"), "omics")
OPERATIONS = {xform_name(name): name for name in SERVICE_MODEL.operation_names}


def error(code: str, status: int, operation: str = "GetBatch", message: str = "no") -> ClientError:
    """Return what botocore raises for an error of the service."""
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


class ScriptedClient:
    """
    Gives the answers of a script in turn, the last one for ever; an exception is raised.

    A parameter or a member that the service model does not know fails the test.
    """

    def __init__(self, **script: Any) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._script: dict[str, deque[Any]] = defaultdict(deque)
        for operation, answers in script.items():
            self._script[operation].extend(answers if isinstance(answers, list) else [answers])

    @property
    def count(self) -> Counter[str]:
        return Counter(operation for operation, _ in self.calls)

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        model = SERVICE_MODEL.operation_model(OPERATIONS[operation])
        report = ParamValidator().validate(parameters, model.input_shape)
        assert not report.has_errors(), report.generate_report()
        self.calls.append((operation, parameters))
        answers = self._script[operation]
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            answer = answer(**parameters)
        assert set(answer) <= {*model.output_shape.members, "ResponseMetadata"}
        return answer
