"""A real Airflow and the emulator, as processes on this machine."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

from tests.system.api import AirflowApi
from tests.system.processes import Service, Services

HOST = "127.0.0.1"
REGION = "us-east-1"

#: On its first start Airflow compiles some thousand modules.
START_UP_SECONDS = 240

#: With their options. Logs are read from the disk; nothing but the API server has to listen.
COMPONENTS = {
    "api-server": ("--workers", "1"),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}


class Emulator:
    """
    HealthOmics and S3, time-warped.

    :param services: Starts the process.
    :param port: 0 for any free one.
    :param options: More of the emulator's command line.
    :param name: Tells it from another one.
    """

    def __init__(self, services: Services, port: int, *options: str, name: str = "emulator") -> None:
        self._services = services
        self._name = name
        self._command = [sys.executable, "-m", "airflow_provider_omics_batch.emulator"]
        self._command += ["--host", HOST, "--port", str(port), *options]
        self.address = ""

    def start(self) -> None:
        """Start the process; what is slow about it goes on meanwhile."""
        self._log = self._services.start(self._name, self._command).log

    def wait_until_ready(self, *buckets: str) -> None:
        """Wait until the emulator listens, and make these buckets in it."""

        def listens() -> bool:
            self.address = "".join(re.findall(r"^listening on (\S+)$", self._log.read_text(), re.MULTILINE))
            return bool(self.address)

        self._services.wait_for(listens, "the emulator", START_UP_SECONDS)
        with closing(self.client("s3")) as s3:
            for bucket in buckets:
                s3.create_bucket(Bucket=bucket)

    def client(self, service: str) -> Any:
        """Return a boto3 client that talks to the emulator, whatever the machine's own configuration."""
        config = Config(inject_host_prefix=False, proxies={}, retries={"max_attempts": 1})
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.address,
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=config,
        )

    def fault(self, operation: str, kind: str, **members: Any) -> None:
        """Let something go wrong on the next call of an operation."""
        fault = {"operation": operation, "kind": kind, **members}
        self._control("POST", "faults", json=[fault])

    def clear_faults(self) -> None:
        self._control("DELETE", "faults")

    @contextmanager
    def failing(self, reason: str, run_setting_id: str) -> Iterator[None]:
        """Let those runs of batches that are started meanwhile fail whose runSettingId fits a pattern."""
        self._control("POST", "failures", json=[{"reason": reason, "run_setting_id": run_setting_id}])
        try:
            yield
        finally:
            self._control("DELETE", "failures")

    def now(self) -> datetime:
        """Return what time it is there."""
        return datetime.fromisoformat(self._control("GET", "clock").json()["now"])

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let no time pass there, so that no batch goes on meanwhile."""
        speed = self._control("GET", "clock").json()["speed"]
        self._control("PATCH", "clock", json={"speed": 0})
        try:
            yield
        finally:
            self._control("PATCH", "clock", json={"speed": speed})

    def calls(self, operation: str) -> int:
        """Return how often an operation was called."""
        return self.all_calls()[operation]

    def all_calls(self) -> Counter[str]:
        """Return how often each operation was called."""
        return Counter(self._control("GET", "calls").json())

    def _control(self, method: str, path: str, **content: Any) -> httpx.Response:
        url = f"{self.address}/moto-api/omics/{path}"
        return httpx.request(method, url, trust_env=False, **content).raise_for_status()

    @property
    def variables(self) -> dict[str, str]:
        """An environment that leads to it without a connection."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": REGION,
        }

    @property
    def connection(self) -> str:
        """An Airflow connection to it."""
        extra = {
            "region_name": REGION,
            "endpoint_url": self.address,
            # With one attempt, what is called again is called by the provider, and not within botocore.
            "config_kwargs": {"inject_host_prefix": False, "retries": {"total_max_attempts": 1}},
        }
        # Airflow warns of passwords that are too short to be masked in logs.
        login = {"login": "emulator", "password": "any-will-do"}
        return json.dumps({"conn_type": "aws", **login, "extra": extra})


class Airflow:
    """
    Scheduler, triggerer, dag processor and API server.

    :param services: Starts the processes; its environment is completed.
    :param home: A folder of its own.
    :param dags: The folder of Dags.
    :param port: Of the API server.
    :param options: More of Airflow's configuration, as in ``DATABASE__SQL_ALCHEMY_CONN``; without that one
        the database is SQLite.
    """

    def __init__(self, services: Services, home: Path, dags: Path, port: int, **options: str) -> None:
        self._services = services
        self.address = f"http://{HOST}:{port}"
        self.api = AirflowApi(self.address)
        services.environment |= _configuration(home, dags, port, options)

    def connect(self, **connections: str) -> None:
        """Give Airflow connections by their ids."""
        self._services.environment |= {
            f"AIRFLOW_CONN_{name.upper()}": uri for name, uri in connections.items()
        }

    def prepare(self) -> None:
        self._services.run("airflow-db", ["airflow", "db", "migrate"], START_UP_SECONDS)

    def start(self) -> None:
        """Start the components, and wait until all of them say that they are healthy."""
        for component in COMPONENTS:
            self.launch(component)
        self.wait_until_healthy()

    def launch(self, component: str, name: str = "") -> Service:
        """Start a component; a second one of its kind needs a name of its own."""
        return self._services.start(name or component, ["airflow", component, *COMPONENTS[component]])

    def wait_until_healthy(self) -> None:
        self._services.wait_for(lambda: not self.api.unhealthy(), "Airflow's components", START_UP_SECONDS)
        self.api.log_in()

    def run_address(self, dag_id: str, run_id: str) -> str:
        """Return the address of a Dag run for a browser."""
        return f"{self.address}/dags/{dag_id}/runs/{run_id}"


def environment(home: Path) -> dict[str, str]:
    """Return this process's environment without what would lead to another Airflow or to a real account."""
    kept = {name: value for name, value in os.environ.items() if not re.match("AIRFLOW_|AWS_|_AIRFLOW", name)}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": HOST,
        "no_proxy": HOST,
        "AWS_CONFIG_FILE": str(home / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-aws-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _configuration(home: Path, dags: Path, port: int, more: Mapping[str, str]) -> dict[str, str]:
    address = f"http://{HOST}:{port}"
    options = {
        "CORE__DAGS_FOLDER": str(dags),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "CORE__FERNET_KEY": "",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": "4",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        # Seconds until a file is read again that has not changed.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "API__BASE_URL": address,
        "API__HOST": HOST,
        "API__PORT": str(port),
        "API__SECRET_KEY": secrets.token_hex(32),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs" / "tasks"),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
        **more,
    }
    return {"AIRFLOW_HOME": str(home)} | {f"AIRFLOW__{name}": value for name, value in options.items()}


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a free port, of those that no outgoing connection is given before it is used."""
    while not is_free(port := 10_000 + secrets.randbelow(20_000)):
        pass
    return port
