"""Routers by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from elio import ConfigurationError, Router
from elio.cli.loading import folder_of, load_router

ROUTERS = "from elio import Router\nrouter = Router()\nclass api:\n    v1 = Router()\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The present folder of the test; what it imports is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refusal(target: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load_router(target)
    text = str(raised.value)
    assert "\n" not in text
    return text


def test_a_module_of_the_present_folder(folder: Path) -> None:
    (folder / "routes.py").write_text(ROUTERS)
    router = load_router("routes:router")
    assert isinstance(router, Router)
    assert load_router("routes") is router
    assert load_router("routes:") is router


def test_a_router_inside_an_object(folder: Path) -> None:
    (folder / "routes.py").write_text(ROUTERS)
    assert isinstance(load_router("routes:api.v1"), Router)
    assert refusal("routes:api.v2") == "the module 'routes' has no 'api.v2'"


def test_a_module_of_a_package(folder: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "parts" / "routes.py").write_text(ROUTERS)
    assert isinstance(load_router("parts.routes:router"), Router)
    assert refusal("parts.others") == "there is no module 'parts.others' here or in the path of Python"
    assert refusal("nothing.routes") == "there is no module 'nothing' here or in the path of Python"


def test_a_path_whose_folder_has_the_modules_it_imports(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "my-routes.py").write_text("from helper import router\n")
    (folder / "inner" / "helper.py").write_text(ROUTERS)
    assert isinstance(load_router("inner/my-routes.py:router"), Router)
    assert isinstance(load_router(f"{folder}/inner/my-routes.py"), Router)


def test_a_path_must_exist(folder: Path) -> None:
    (folder / "folder.py").mkdir()
    assert refusal("inner/nothing.py") == "the file 'inner/nothing.py' does not exist"
    assert refusal("folder.py") == "the file 'folder.py' does not exist"


def test_a_file_with_the_name_of_another_module_is_not_taken_for_it(folder: Path) -> None:
    for name in ("json", "sys"):
        (folder / f"{name}.py").write_text(ROUTERS)
        assert refusal(f"{name}.py") == f"the file '{name}.py' cannot be imported: another module has its name"


@pytest.mark.parametrize("target", ["", ":router", ".", ".routes", "a..b", "a."])
def test_a_name_that_is_none(target: str) -> None:
    assert refusal(target).endswith("is not the name of a module")


def test_what_is_no_router_is_named_by_its_type(folder: Path) -> None:
    (folder / "routes.py").write_text("from elio import Router\nrouter = None\n")
    assert refusal("routes") == "'routes' is of type NoneType, not an elio.Router"
    assert refusal("routes:Router") == "'routes:Router' is of type type, not an elio.Router"


def test_an_error_is_told_with_the_last_own_line_not_the_one_of_a_library(folder: Path) -> None:
    (folder / "routes.py").write_text("import settings\n")
    (folder / "settings.py").write_text("import json\nJSON = '{'\nvalues = json.loads(JSON)\n")
    text = refusal("routes")
    assert text.startswith("the module 'routes' cannot be loaded: JSONDecodeError: Expecting property name")
    assert text.endswith(f"({folder}/settings.py, line 3)")


def test_an_error_of_elio_is_told_without_its_type(folder: Path) -> None:
    (folder / "routes.py").write_text("from elio import Router\nRouter().get('nothing')(None)\n")
    text = refusal("routes")
    assert text.startswith("the module 'routes' cannot be loaded: pattern 'nothing' must start with a slash")
    assert text.endswith(f"({folder}/routes.py, line 2)")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (b"def broken(:\n", "invalid syntax ({folder}/routes.py, line 1)"),
        (
            b"if True:\nx = 1\n",
            "expected an indented block after 'if' statement on line 1 ({folder}/routes.py, line 2)",
        ),
        (b"import routes.inner\n", "ModuleNotFoundError: No module named 'routes.inner'; 'routes' is not a package"),
        (b"from elio import nothing\n", "ImportError: cannot import name 'nothing' from 'elio'"),
        (b"raise Exception\n", "Exception ({folder}/routes.py, line 1)"),
        (b"raise SystemExit\n", "SystemExit ({folder}/routes.py, line 1)"),
        (b"assert False, 'one\\ntwo'\n", "AssertionError: one two ({folder}/routes.py, line 1)"),
    ],
)
def test_errors_while_importing_are_one_line(folder: Path, source: bytes, text: str) -> None:
    (folder / "routes.py").write_bytes(source)
    assert refusal("routes").startswith(f"the module 'routes' cannot be loaded: {text.format(folder=folder)}")


@pytest.mark.parametrize("source", [b"\xff\n", b"x = '\x00'\n"])
def test_a_file_that_is_no_text_is_one_line(folder: Path, source: bytes) -> None:
    (folder / "routes.py").write_bytes(source)
    assert refusal("routes").startswith("the module 'routes' cannot be loaded: ")


def test_an_interrupt_while_importing_is_no_error_of_the_module(folder: Path) -> None:
    (folder / "routes.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_router("routes")


@pytest.mark.parametrize(
    ("target", "folder"),
    [
        ("app", "."),
        ("app:router", "."),
        ("pack.app:router", "."),
        ("app.py", "."),
        ("a/b.py:router", "a"),
        ("/a/b.py", "/a"),
    ],
)
def test_the_folder_of_a_target(target: str, folder: str) -> None:
    assert folder_of(target) == folder
