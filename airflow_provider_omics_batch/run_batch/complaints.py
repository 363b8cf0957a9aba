"""What is wrong with run settings, told together."""

from __future__ import annotations

from array import array
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
        self._noun = noun
        # In the order of their numbers: of 100,000 ids, bytes and an array take 4 MB less than a dict of
        # texts with numbers.
        self._ids: dict[bytes, None] = {}
        self._numbers = array("L")
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
        key = str(run_setting_id).encode(errors="surrogatepass")
        if key not in self._ids:
            self._ids[key] = None
            self._numbers.append(number)
            return True
        noun, first = self._noun, self._numbers[list(self._ids).index(key)]
        self.add(
            number, f"{noun} {number}: runSettingId {run_setting_id!r} is already that of {noun} {first}"
        )
        return False

    @property
    def nothing_was_right(self) -> bool:
        """Whether no run setting had an id of its own."""
        return not self._ids

    def raise_any(self, *others: str) -> None:
        """
        End the reading.

        :param others: Problems that show only in the end.
        :raises RunSettingsError: With all problems, if there are any.
        """
        if problems := [*self._problems, *others]:
            raise RunSettingsError(*problems)
