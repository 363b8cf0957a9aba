"""A PostgreSQL database of a test's own, and what can be done to it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import parse_dsn
from psycopg2.sql import SQL, Identifier
from sqlalchemy import URL

VARIABLE = "OMICS_TEST_POSTGRES_DSN"
DEFAULT = "postgresql://postgres@127.0.0.1:5432/postgres"

_OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_WAITING = f"{_OTHERS} AND wait_event_type = 'Lock' AND query ILIKE %s"


class Database:
    """
    A database.

    :param parts: How to connect to it, by libpq's names.
    """

    def __init__(self, parts: dict[str, str]) -> None:
        self._parts = parts

    @property
    def url(self) -> str:
        """The address as Airflow wants it."""
        parts = self._parts
        url = URL.create(
            "postgresql+psycopg2",
            parts.get("user"),
            parts.get("password"),
            parts.get("host"),
            int(parts.get("port", 5432)),
            parts["dbname"],
        )
        return url.render_as_string(hide_password=False)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    @contextmanager
    def locked(self, table: str, mode: str) -> Iterator[None]:
        """Let statements wait that need a lock of a table which conflicts with this one."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(SQL("LOCK TABLE {} IN " + mode + " MODE").format(Identifier(table)))
            yield
            cursor.execute("ROLLBACK")

    def keeps_waiting(self, statement: str) -> bool:
        """Return whether a statement that is like this waits for a lock."""
        return bool(self.rows(f"SELECT pid {_WAITING}", statement))

    def cut_waiting(self, statement: str) -> None:
        """End the connections in which a statement that is like this waits for a lock."""
        self.rows(f"SELECT pg_terminate_backend(pid) {_WAITING}", statement)

    def cut_connections(self) -> set[int]:
        """End all connections but the one that does it, and return their processes' ids."""
        return {pid for (pid, _) in self.rows(f"SELECT pid, pg_terminate_backend(pid) {_OTHERS}")}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Keep all rows that are written into any table, as :meth:`places_of` needs it."""
        self.rows(
            "CREATE TABLE recorded (place text, content text);"
            "CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN INSERT INTO recorded VALUES (TG_TABLE_NAME, NEW::text); RETURN NULL; END'"
        )
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'recorded'"
        for (table,) in self.rows(tables):
            self.rows(
                f'CREATE TRIGGER record AFTER INSERT OR UPDATE ON "{table}"'
                " FOR EACH ROW EXECUTE FUNCTION record()"
            )
        try:
            yield
        finally:
            self.rows("DROP FUNCTION record() CASCADE; DROP TABLE recorded")

    def places_of(self, text: str) -> set[str]:
        """Return the tables into which a text was written meanwhile."""
        return {
            place for (place,) in self.rows("SELECT place FROM recorded WHERE strpos(content, %s) > 0", text)
        }

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        with closing(_connect(self._parts)) as connection:
            yield connection


@contextmanager
def fresh_database() -> Iterator[Database | None]:
    """
    Make a database, and drop it in the end with all that is connected to it.

    It is ``None`` where no server answers that was not asked for by the environment.
    """
    server = parse_dsn(os.environ.get(VARIABLE) or DEFAULT)
    name = f"omics_batch_{secrets.token_hex(6)}"
    try:
        connection = _connect(server)
    except psycopg2.OperationalError:
        if os.environ.get(VARIABLE):
            raise
        yield None
        return
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            yield Database(server | {"dbname": name})
        finally:
            cursor.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def _connect(parts: dict[str, str]) -> Any:
    connection = psycopg2.connect(**parts, connect_timeout=10)
    connection.autocommit = True
    return connection
