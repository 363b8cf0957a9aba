"""What is wrong with run settings, told together."""

from __future__ import annotations

from typing import Any

from airflow_provider_omics_batch.exceptions import RunSettingsError

#: So many problems are told at once.
MAX_PROBLEMS = 20


class Complaints:
    """
    Collects problems of run settings that are read one by one.

    :param noun: What one of them is called in error messages, before its number: "row".
    """

    def __init__(self, noun: str) -> None:
        #: The ids so far, with the number of the run setting that had it first.
        self.first_numbers: dict[Any, int] = {}
        self._noun = noun
        self._problems: list[str] = []

    def add(self, number: int, *problems: str) -> None:
        """
        Take note of what is wrong with a run setting.

        :raises RunSettingsError: There are 20 problems by now.
        """
        self._problems += problems
        if len(self._problems) >= MAX_PROBLEMS:
            rest = f"What comes after {self._noun} {number} has not been looked at"
            raise RunSettingsError(*self._problems, rest=rest)

    def is_first(self, run_setting_id: Any, number: int) -> bool:
        """Return whether no run setting before this one has its id; otherwise complain."""
        first = self.first_numbers.setdefault(run_setting_id, number)
        if first == number:
            return True
        noun = self._noun
        self.add(
            number, f"{noun} {number}: runSettingId {run_setting_id!r} is already that of {noun} {first}"
        )
        return False

    def raise_any(self, *others: str) -> None:
        """
        End the reading.

        :param others: Problems that show only in the end.
        :raises RunSettingsError: With all problems, if there are any.
        """
        if problems := [*self._problems, *others]:
            raise RunSettingsError(*problems)
