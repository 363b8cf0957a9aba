"""What the environment asks of the demo, and what it has to offer."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system.deployment import free_port, is_free

ROOT = Path(__file__).parents[2]

#: Locked while a demo runs; stays, and tells that the folder is a demo's.
LOCK = "omics-batch-demo.lock"


class CannotStartError(Exception):
    """The surroundings do not allow it; nothing has been started."""


@dataclass(frozen=True)
class Options:
    """
    What the environment asks for.

    :param port: Of Airflow.
    :param emulator_port: Of the emulator; 0 for any free one.
    :param stay: Whether to stay up until Ctrl-C.
    :param home: The folder for all files; emptied if a demo has made it.
    """

    port: int
    emulator_port: int
    stay: bool
    home: Path

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Options:
        """
        Read ``DEMO_PORT``, ``DEMO_EMULATOR_PORT``, ``DEMO_EXIT`` and ``DEMO_HOME``.

        :raises CannotStartError: A port is none or is taken, or both are the same.
        """
        port = _port(variables, "DEMO_PORT", "8080")
        emulator_port = _port(variables, "DEMO_EMULATOR_PORT", "5000")
        if port == emulator_port != 0:
            raise CannotStartError(
                f"DEMO_PORT and DEMO_EMULATOR_PORT are both {port}; choose another: "
                f"make demo DEMO_PORT={port} DEMO_EMULATOR_PORT={port % 65535 + 1}"
            )
        return cls(
            port=port or free_port(),
            emulator_port=emulator_port,
            stay=variables.get("DEMO_EXIT", "") in ("", "0"),
            home=Path(variables.get("DEMO_HOME") or ROOT / ".demo").absolute(),
        )


def _port(variables: Mapping[str, str], name: str, default: str) -> int:
    text = variables.get(name) or default
    if not text.isdecimal() or int(text) > 65535:
        raise CannotStartError(
            f"{name}={text} is not a port number; choose one from 0 (any free one) to 65535"
        )
    if not is_free(int(text)):
        raise CannotStartError(
            f"Port {text} is taken; choose another: make demo {name}={int(text) % 65535 + 1}"
        )
    return int(text)


@contextmanager
def fresh_home(home: Path) -> Iterator[Path]:
    """
    Empty a folder, and keep other demos away from it.

    :raises CannotStartError: It has files, and not of a demo; or another demo is running there.
    """
    try:
        lock = _claim(home)
    except OSError as error:
        raise CannotStartError(f"Cannot use {home}: {error.strerror}") from None
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStartError(f"Another demo is running in {home}; end it first") from None
        for path in set(home.iterdir()) - {lock}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (home / "logs").mkdir()
        yield home


def _claim(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    lock = home / LOCK
    if not lock.is_file() and any(home.iterdir()):
        raise CannotStartError(
            f"{home} has files that are not from a demo; choose another folder: make demo DEMO_HOME=<folder>"
        )
    lock.touch()
    return lock
