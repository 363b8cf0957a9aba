"""What README and guide show is what the tested examples have, and nothing public is missing in them."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import airflow_provider_omics_batch as package
from airflow_provider_omics_batch import exceptions, run_batch

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / name).read_text() for name in ("README.md", "GUIDE.md")}
TEXT = "\n".join(PAGES.values())

#: A fence, and the comment before it that names a file and a region of it.
BLOCK = re.compile(
    r"(?:<!-- (?P<file>\S+): (?P<region>\w+) -->\n)?^```python\n(?P<code>.*?)^```$", re.M | re.S
)

#: Where a Dag author finds something to use.
PUBLIC = ("decorators", "hooks", "operators", "sensors")

#: Methods that Airflow calls, or this package itself.
NOT_FOR_AUTHORS = {"deserialize", "get_session", "resolve", "resume_execution", "run_settings", "serialize"}
NOT_FOR_AUTHORS |= {
    "check_before_submission",
    "execute",
    "execute_again",
    "execute_complete",
    "execute_round",
    "on_kill",
    "poke",
    "wait",
    "wait_for",
}

#: Documented by Airflow and the amazon provider.
SHARED = {"self", "python_callable", "args", "kwargs", "context", "event"}

#: Nobody writes their names; those of parts are written by ``split``.
UNWRITTEN = {"record", "uri", "part", "parts"}


def blocks() -> list[Any]:
    found = [(name, block) for name, page in PAGES.items() for block in BLOCK.finditer(page)]
    return [pytest.param(block, id=f"{name}-{block['region']}") for name, block in found]


def region(file: Path, name: str) -> str:
    """Return what is between ``[START name]`` and ``[END name]``, without marks of others."""
    found = re.search(rf"^ *# \[START {name}\]\n(.*?)^ *# \[END {name}\]$", file.read_text(), re.M | re.S)
    assert found, f"{file} has no region {name}"
    unmarked = re.sub(r"^ *# \[(?:START|END) \w+\]\n", "", found[1], flags=re.M)
    return textwrap.dedent(unmarked).strip()


def public_modules() -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(package.__path__):
        if module.name in PUBLIC:
            yield importlib.import_module(f"{package.__name__}.{module.name}.omics")


def public_callables() -> Iterator[tuple[str, Any]]:
    """Yield what a Dag author may call, with its name in the guide."""
    for name in run_batch.__all__:
        yield name, getattr(run_batch, name)
    for module in public_modules():
        own = [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
        ]
        for name in getattr(module, "__all__", own):
            if not name.startswith("_"):
                yield name, getattr(module, name)


def methods_of(value: type) -> Iterator[tuple[str, Any]]:
    for owner in value.__mro__:
        if owner.__module__.startswith(package.__name__):
            for name, method in vars(owner).items():
                if inspect.isfunction(method) and (name == "__init__" or not name.startswith("_")):
                    yield name, method


def arguments_of(function: Any) -> set[str]:
    return {name for name in inspect.signature(function).parameters if not name.startswith("_")} - SHARED


def is_documented(name: str) -> bool:
    """Return whether a page has a name as code, be it with what surrounds it there."""
    return bool(re.search(rf"`[^`\n]*(?<!\w){re.escape(name)}(?!\w)[^`\n]*`", TEXT))


@pytest.mark.parametrize("block", blocks())
def test_what_is_shown_is_a_region_of_a_tested_file(block: re.Match[str]) -> None:
    """Every block of Python names the file that it is from, and is what the file has."""
    assert block["file"], f"where is this from?\n{block['code']}"

    assert block["code"].strip() == region(ROOT / block["file"], block["region"])


def test_every_example_is_listed_in_the_guide() -> None:
    listed = re.findall(r"^\| `(example_\w+\.py)` \| \S", PAGES["GUIDE.md"], re.M)

    assert sorted(listed) == sorted(file.name for file in (ROOT / "dags").glob("*.py"))


def test_all_that_is_public_is_documented() -> None:
    names = set(vars(exceptions)) & {name for name in vars(exceptions) if name.endswith("Error")}
    for name, value in public_callables():
        names.add(name)
        if not inspect.isclass(value):
            names |= arguments_of(value) if inspect.isfunction(value) else set()
            continue
        for method_name, method in methods_of(value):
            if method_name not in NOT_FOR_AUTHORS:
                names |= arguments_of(method) | ({method_name} - {"__init__"})

    assert [name for name in sorted(names) if not is_documented(name)] == []


def test_every_argument_for_dag_authors_is_shown_in_an_example() -> None:
    code = "\n".join(block["code"] for page in PAGES.values() for block in BLOCK.finditer(page))
    shown = set(re.findall(r"\w+(?==)", code))
    hidden = {
        f"{name}({argument})"
        for name, value in public_callables()
        for function in ([value] if inspect.isfunction(value) else dict(methods_of(value)).values())
        for argument in arguments_of(function) - UNWRITTEN - shown
        if function is value or function.__name__ == "__init__"
    }

    assert sorted(hidden) == []


def text_of(node: ast.AST) -> str:
    """Return a message as the guide has it, with an ellipsis for what varies."""
    if isinstance(node, ast.JoinedStr):
        return re.sub("…+", "…", "".join(map(text_of, node.values)))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%(?:\.\d+)?[sdfr]", "…", node.value)
    return "…"


def sources() -> Iterator[ast.Module]:
    for file in (ROOT / package.__name__).rglob("*.py"):
        if "emulator" not in file.parts:
            yield ast.parse(file.read_text())


def texts(node: ast.AST) -> list[str]:
    """Return all texts of some code, each joined as Python does it."""
    inner = {
        id(part) for found in ast.walk(node) if isinstance(found, ast.JoinedStr) for part in found.values
    }
    return [
        text_of(found)
        for found in ast.walk(node)
        if isinstance(found, ast.JoinedStr | ast.Constant) and id(found) not in inner
    ]


def documented_messages() -> list[str]:
    section = re.search(r"^## When something goes wrong\n(.*?)(?=^## |\Z)", PAGES["GUIDE.md"], re.M | re.S)
    assert section
    cells = re.findall(r"^\| (`.*?) \| ", section[1], re.M)
    return [
        message
        for cell in cells
        for message in re.findall(r"`` ?(.+?) ?``|`([^`]+)`", cell)
        for message in message
        if message
    ]


def is_part(message: str, text: str) -> bool:
    """Return whether a message is a text or a part of it."""
    return message.strip("… ") in text


def test_every_message_in_the_guide_is_one_of_the_package() -> None:
    known = [text for source in sources() for text in texts(source)]

    assert [m for m in documented_messages() if not any(is_part(m, text) for text in known)] == []


def begins_with(text: str, message: str) -> bool:
    """Return whether a text begins with a message, or has it behind what an ellipsis stands for."""
    core = message.strip("… ")
    if message.startswith("…"):
        return core in text and bool(re.search(r"\w", core))
    return text.lstrip("… :").startswith(core)


def told(function: ast.AST) -> Iterator[str]:
    """Yield the texts that a function gives to errors, and logs as warnings or errors."""
    for call in ast.walk(function):
        if not isinstance(call, ast.Call):
            continue
        name = ast.unparse(call.func).rpartition(".")[-1]
        logs = name in ("warning", "error")
        if logs or name.lower().endswith(("error", "exception")):
            for argument in call.args[:1] if logs else call.args:
                yield from whole_texts(argument)
                if isinstance(argument, ast.Name):
                    yield from texts_of_variable(function, argument.id)


def texts_of_variable(function: ast.AST, name: str) -> Iterator[str]:
    """Yield the texts that a function assigns to one of its variables."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets):
            yield from whole_texts(node.value)


def whole_texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts of some code that are no part of another one."""
    if isinstance(node, ast.JoinedStr | ast.Constant):
        yield text_of(node)
    else:
        for child in ast.iter_child_nodes(node):
            yield from whole_texts(child)


def test_every_error_and_every_warning_is_in_the_guide() -> None:
    """What is raised, or logged as a warning or an error, begins with a message of the guide's tables."""
    written = {
        text
        for source in sources()
        for function in ast.walk(source)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for text in told(function)
        if len(re.findall(r"\w+", text)) > 1
    }
    messages = documented_messages()

    assert sorted(text for text in written if not any(begins_with(text, m) for m in messages)) == []
