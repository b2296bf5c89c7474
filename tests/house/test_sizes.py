"""Files, functions, parameter lists and folders stay small."""

from __future__ import annotations

import ast
import statistics
from collections import Counter
from typing import Final

from support.house import PACKAGE, ROOT, SOURCE, modules, report

FILE_WANTED: Final = 400
FILE_CEILING: Final = 500
FUNCTION_CEILING: Final = 50
FUNCTION_MEDIAN: Final = 7
KERNEL_CEILING: Final = 150
LOOP_CEILING: Final = 80
MAX_POSITIONAL: Final = 5
MAX_MODULES: Final = 12

# Decoder loops that may reach LOOP_CEILING code lines: "module:function", with the reason and its measurement.
LOOPS: Final[dict[str, str]] = {}


def test_no_file_is_over_the_ceiling() -> None:
    breaches = [
        f"{module.path.relative_to(ROOT)}: {lines} lines"
        for module in modules()
        if (lines := len(module.text.splitlines())) > FILE_CEILING
    ]
    assert not breaches, report(f"a file has at most {FILE_CEILING} lines, {FILE_WANTED} are wanted:", breaches)


def test_files_over_the_wanted_size_are_rare() -> None:
    breaches = [
        f"{module.path.relative_to(ROOT)}: {lines} lines"
        for module in modules()
        if (lines := len(module.text.splitlines())) > FILE_WANTED
    ]
    rule = f"at most one file in ten has more than {FILE_WANTED} lines:"
    assert len(breaches) * 10 <= len(modules()), report(rule, breaches)


def test_kernels_in_c_are_short() -> None:
    breaches = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in SOURCE.rglob("*.h")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > KERNEL_CEILING
    ]
    assert not breaches, report(f"a kernel has at most {KERNEL_CEILING} lines:", breaches)


def test_functions_are_short() -> None:
    breaches = []
    for module in modules():
        if not module.is_python:
            continue
        for function in module.functions():
            size = module.size_of(function)
            ceiling = LOOP_CEILING if f"{module.name}:{function.name}" in LOOPS else FUNCTION_CEILING
            if size > ceiling:
                breaches.append(f"{module.at(function)}: {function.name} has {size} code lines, limit {ceiling}")
    assert not breaches, report("functions are short (docstrings, comments and blank lines do not count):", breaches)


def test_half_of_the_functions_are_very_short() -> None:
    sizes = [module.size_of(function) for module in modules() if module.is_python for function in module.functions()]
    median = statistics.median(sizes)
    assert median < FUNCTION_MEDIAN, f"the median function has {median} code lines, under {FUNCTION_MEDIAN} are wanted"


def test_named_loops_exist_and_give_a_reason() -> None:
    present = {f"{module.name}:{f.name}" for module in modules() if module.is_python for f in module.functions()}
    breaches = [name for name, reason in LOOPS.items() if name not in present or len(reason) < 20]
    assert not breaches, report("these exceptions are stale or give no reason:", breaches)


def test_functions_take_few_positional_parameters() -> None:
    breaches = []
    for module in modules():
        if not module.is_python:
            continue
        for function in module.functions():
            names = positional_parameters(function)
            if len(names) > MAX_POSITIONAL:
                breaches.append(f"{module.at(function)}: {function.name}({', '.join(names)})")
    assert not breaches, report(f"at most {MAX_POSITIONAL} parameters are positional:", breaches)


def positional_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The names of the parameters that may be given by position, without ``self`` and ``cls``."""
    names = [parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def test_folders_hold_few_modules() -> None:
    # The top folder is the hall of the house: several rooms have their doors there, and each counts for itself.
    counts: Counter[str] = Counter()
    for module in modules():
        if module.is_package or module.path.stem == "__main__":
            continue
        folder = module.path.parent.relative_to(SOURCE)
        in_hall = str(folder) == PACKAGE and module.room is not None
        counts[f"{folder} ({module.room.name})" if in_hall and module.room else str(folder)] += 1
    breaches = [f"{folder}: {count} modules" for folder, count in counts.items() if count > MAX_MODULES]
    assert not breaches, report(f"a folder holds at most {MAX_MODULES} modules:", breaches)
