"""What all operations of HealthOmics in one account and Region have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any, ClassVar

from moto.core.base_backend import BaseBackend

from airflow_provider_omics_batch.emulator.clock import Clock, ScaledClock
from airflow_provider_omics_batch.emulator.exceptions import ThrottlingException
from airflow_provider_omics_batch.emulator.requests.throttle import Throttle, rate_of
from airflow_provider_omics_batch.emulator.settings import Settings

Params = dict[str, Any]
Page = tuple[list[dict[str, Any]], str | None]


class Account(BaseBackend):
    """
    An account in a Region: its settings, its clock and its lock.

    One made after :meth:`configure_all`, a reset included, has those settings and that clock.
    """

    default_settings: ClassVar[Settings] = Settings()
    default_clock: ClassVar[Clock] = ScaledClock()
    #: What a saved state does not have.
    passing_members: ClassVar[tuple[str, ...]] = ("settings", "clock", "_lock", "_throttle")

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.settings = type(self).default_settings
        self.clock: Clock = type(self).default_clock
        self._lock = RLock()
        self._throttle = Throttle()

    def reset(self) -> None:
        """Begin anew at one stroke; other threads may look while it happens."""
        self.__dict__ = vars(type(self)(self.region_name, self.account_id))

    @classmethod
    def configure_all(cls, settings: Settings, clock: Clock) -> None:
        """Set what every backend that is made from now on begins with."""
        cls.default_settings = settings
        cls.default_clock = clock

    @classmethod
    def shared_clock(cls) -> ScaledClock:
        """
        Find the clock of all backends but those that were given one of their own.

        :raises ValueError: it is not one that others may set.
        """
        if not isinstance(cls.default_clock, ScaledClock):
            raise ValueError("the clock was set in the emulator's process, where it is moved as well")
        return cls.default_clock

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Let nothing change meanwhile."""
        with self._lock:
            yield

    def configure(self, settings: Settings | None = None, clock: Clock | None = None) -> None:
        """Set this account and Region, for what is started from now on."""
        self.settings = settings or self.settings
        self.clock = clock or self.clock

    def check_rate(self, operation: str) -> None:
        """Raise ``ThrottlingException`` for a call too many."""
        rate = rate_of(operation, self.settings) if self.settings.throttle else None
        if rate is not None and not self._throttle.takes(operation, rate):
            raise ThrottlingException("Rate exceeded")

    def arn(self, resource: str) -> str:
        return f"arn:{self.partition}:omics:{self.region_name}:{self.account_id}:{resource}"
