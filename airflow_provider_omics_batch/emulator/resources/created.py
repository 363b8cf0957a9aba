"""What the resources that a Create operation makes have in common: ids, tags, lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from moto.moto_api._internal import mock_random

from airflow_provider_omics_batch.emulator.exceptions import (
    ResourceNotFoundException,
    ServiceQuotaExceededException,
)
from airflow_provider_omics_batch.emulator.requests.filters import fits, given_filters
from airflow_provider_omics_batch.emulator.requests.idempotency import RequestLog, without_id
from airflow_provider_omics_batch.emulator.requests.paging import first_place, page
from airflow_provider_omics_batch.emulator.requests.times import timestamp
from airflow_provider_omics_batch.emulator.resources.run_settings import checked_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_omics_batch.emulator.behaviour import Behaviour
    from airflow_provider_omics_batch.emulator.resources.account import Page, Params


@dataclass(eq=False, kw_only=True)
class Resource:
    """
    A resource of an account.

    :param request: its members, as they were given and updated.
    """

    #: What it is called in ARNs and in errors, and the members that its list shows beside those of all.
    kind: ClassVar[str]
    title: ClassVar[str]
    listed: ClassVar[tuple[str, ...]] = ()

    id: str
    arn: str
    uuid: str
    request: Params
    tags: dict[str, str]
    created_at: float

    def created(self, now: float) -> Params:
        """Give what its Create operation answers."""
        return {"id": self.id, "arn": self.arn, "uuid": self.uuid, "tags": self.tags}

    def describe(self, now: float) -> Params:
        """Give what its Get operation answers."""
        shown = {"creationTime": timestamp(self.created_at)}
        return {**self.request, **self.created(now), **shown}

    def facts(self) -> Params:
        """Give what its list can be filtered by."""
        return {"name": self.request.get("name"), "type": "PRIVATE"}

    def item(self, now: float) -> Params:
        """Give what its list shows."""
        described = self.describe(now)
        names = ("id", "arn", "name", "creationTime", *self.listed)
        return {name: described[name] for name in names if described.get(name) is not None}


def new_facts(params: Params, now: float) -> Params:
    """Give what a resource has from its request on, all but its id and its ARN."""
    return {
        "uuid": str(mock_random.uuid4()),
        "request": {name: value for name, value in without_id(params).items() if name != "tags"},
        "tags": checked_tags(params),
        "created_at": now,
    }


R = TypeVar("R", bound=Resource)


class Shelf(Generic[R]):
    """The resources of one kind, by id and in the order in which they were made."""

    def __init__(self, kind: type[R], first_id: int) -> None:
        self.requests: RequestLog[R] = RequestLog()
        self._kind = kind
        self._next_id = first_id
        self._resources: dict[str, R] = {}
        self._deleted: set[str] = set()

    def __iter__(self) -> Iterator[R]:
        return iter(self._resources.values())

    def create(self, params: Params, facts: Params, arn: Callable[[str], str], quota: int) -> R:
        """
        Make what a request asks for.

        :param facts: all of it but its id and its ARN.
        :param arn: gives the ARN of ``kind/id``.
        """
        if len(self._resources) >= quota:
            raise ServiceQuotaExceededException(
                f"There are {quota} of {self._kind.title}s, which is the most"
            )
        resource_id = str(self._next_id)
        self._next_id += 1
        resource = self._kind(id=resource_id, arn=arn(f"{self._kind.kind}/{resource_id}"), **facts)
        self._resources[resource_id] = resource
        self.requests.note(params, resource)
        return resource

    def find(self, resource_id: str | None) -> R | None:
        return self._resources.get(resource_id or "")

    def is_deleted(self, resource_id: str | None) -> bool:
        """Tell whether there was such a resource, which is gone."""
        return resource_id in self._deleted

    def get(self, resource_id: str) -> R:
        found = self.find(resource_id)
        if found is None:
            raise ResourceNotFoundException(f"The {self._kind.title} {resource_id} does not exist")
        return found

    def delete(self, resource_id: str) -> None:
        resource = self.get(resource_id)
        del self._resources[resource_id]
        self._deleted.add(resource_id)
        self.requests.forget(resource)

    def list(self, params: Params, behaviour: Behaviour, now: float) -> Page:
        """List the resources by id."""
        filters = given_filters(params, "name", "type")
        start = first_place(params.get("startingToken"), filters)
        later = (each for each in self if int(each.id) >= start)
        matching = (each for each in later if fits(filters, each.facts(), behaviour))
        return page(((int(each.id), each.item(now)) for each in matching), params.get("maxResults"), filters)
