"""
The state of HealthOmics and S3 as a file, for a restart to go on from.

A line of JSON tells who has written the file, a line of fixed length the time of the emulator, and the rest
is a pickle, of which nothing but data and classes of the emulator and of moto's S3 is taken.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pickle
from contextlib import contextmanager
from importlib.metadata import version
from types import BuiltinFunctionType, FunctionType
from typing import IO, TYPE_CHECKING, Any

from moto.s3.models import s3_backends
from moto.s3.utils import _VersionedKeyStore

from airflow_provider_omics_batch.emulator.models import omics_backends

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_omics_batch.emulator.clock import Clock

#: The services whose state is kept.
SERVICES = ("omics", "s3")

_PACKAGES = ("airflow-provider-omics-batch", "moto")

#: The modules whose own classes a state is made of, and what else it may name.
_MODULES = (
    *(f"airflow_provider_omics_batch.emulator.{place}" for place in ("plan.", "requests.", "resources.")),
    "airflow_provider_omics_batch.emulator.settings",
    "moto.s3.",
    "moto.utilities.tagging_service",
)
_NAMES = {
    "builtins": {"set", "frozenset", "list", "dict", "bytearray", "object"},
    "collections": {"OrderedDict", "defaultdict", "deque"},
    "copyreg": {"_reconstructor"},
    "datetime": {"datetime", "timedelta", "timezone"},
    "moto.utilities.utils": {"LowercaseDict"},
    "msgspec": {"Raw"},
    "requests.structures": {"CaseInsensitiveDict"},
}

State = dict[str, dict[tuple[str, str], dict[str, Any]]]


class StateError(Exception):
    """A file that holds no state that this emulator could go on from."""


def take(file: IO[bytes]) -> None:
    """Write the state of all accounts and Regions into a file; nothing may change meanwhile."""
    state: State = {service: {} for service in SERVICES}
    for service, backends in state.items():
        for account_id, regions in list(_backends(service).items()):
            for region, backend in list(regions.items()):
                passing = getattr(backend, "passing_members", ())
                members = {name: value for name, value in vars(backend).items() if name not in passing}
                backends[account_id, region] = members
    _Pickler(file, protocol=5).dump(state)


def restore(file: IO[bytes]) -> None:
    """
    Bring back a state that was taken.

    :raises StateError: it is none.
    """
    try:
        state: State = _Unpickler(file).load()
        for service in SERVICES:
            for (account_id, region), members in state[service].items():
                vars(_backends(service)[account_id][region]).update(members)
        for (account_id, partition), members in state["s3"].items():
            for bucket in members["buckets"]:
                s3_backends.bucket_accounts[bucket] = (partition, account_id)
    except Exception as error:
        raise StateError(f"it is damaged: {error}") from error


def _backends(service: str) -> Any:
    return omics_backends if service == "omics" else s3_backends


class _Pickler(pickle.Pickler):
    """Refuses what could not be read again."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type | FunctionType | BuiltinFunctionType):
            _check(obj.__module__, obj.__qualname__, obj)
        if isinstance(obj, _VersionedKeyStore):
            # It shows the last version of each object alone, and to set one again adds a version.
            versions = ((key, version) for key, versions in obj.lists() for version in versions)
            return type(obj), (), None, None, versions
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    """Makes nothing but what a state is made of, so that a file from elsewhere cannot call what it likes."""

    def find_class(self, module: str, name: str) -> Any:
        # What is not even allowed by name is not imported.
        _check_name(module, name)
        found = super().find_class(module, name)
        _check(module, name, found)
        return found


def _check(module: str, name: str, found: Any) -> None:
    """Raise ``PickleError`` for what is no part of a state; a class is one only where it was defined."""
    _check_name(module, name)
    ours = isinstance(found, type) and found.__module__ == module
    if not ours and module not in _NAMES:
        raise _stranger(module, name)


def _check_name(module: str, name: str) -> None:
    ours = module.startswith(_MODULES) and "." not in name
    if not ours and name not in _NAMES.get(module, ()):
        raise _stranger(module, name)


def _stranger(module: str, name: str) -> pickle.PickleError:
    return pickle.PickleError(f"{module}.{name} is no part of a state")


class StateFile:
    """A file with a state; it is replaced as a whole, so that it is whole whenever the process is killed."""

    def __init__(self, path: Path) -> None:
        # One file, and one lock, whatever links lead to it.
        self._path = path.resolve()
        self._time_at = len(_head())

    def lock(self) -> None:
        """
        Take the file for this process alone, until it ends.

        :raises StateError: another one has it.
        :raises OSError: it cannot be one.
        """
        if self._path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self._path))
        # The file itself is replaced, and a lock would stay with the old one.
        lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError("another emulator is at work on it") from error

    @contextmanager
    def opened(self) -> Iterator[tuple[float, IO[bytes]] | None]:
        """
        Read the time, and leave the rest to be read; ``None`` if there is no file yet.

        :raises StateError: it is not of this emulator.
        """
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            yield None
            return
        with file:
            head, time = file.readline(), file.readline()
            if head != _head():
                raise StateError(f"{_writer(head)}, and this is {_written_by(_head())}")
            yield _time_of(time), file

    @contextmanager
    def successor(self, clock: Clock) -> Iterator[IO[bytes]]:
        """Give a file to write a state into, which gets the time of then and takes this one's place."""
        fresh = self._path.with_name(f"{self._path.name}.new")
        # For its owner alone, since the objects of S3 are in it.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_head() + _line(clock()))
            yield file
            file.seek(self._time_at)
            file.write(_line(clock()))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    def write_time(self, time: float) -> None:
        with self._path.open("r+b", buffering=0) as file:
            file.seek(self._time_at)
            file.write(_line(time))


def _line(time: float) -> bytes:
    # To the last digit, in a fixed length.
    return f"{time!r:<26}\n".encode()


def _time_of(line: bytes) -> float:
    try:
        return float(line)
    except ValueError as error:
        raise StateError("it is damaged: it tells no time") from error


def _head() -> bytes:
    return json.dumps({name: version(name) for name in _PACKAGES}).encode() + b"\n"


def _writer(head: bytes) -> str:
    try:
        return f"it was written by {_written_by(head)}"
    except (ValueError, TypeError, KeyError):
        return "it is no state of the emulator"


def _written_by(head: bytes) -> str:
    versions = json.loads(head)
    return " with ".join(f"{name} {versions[name]}" for name in _PACKAGES)
