"""Modules and functions are small, say what they are for, and carry names of ours."""

import ast
import re

from tests.unit.architecture import tree

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

CLASS_ENDINGS = re.compile(r"(Manager|Helper|Utils|Common|Base|Impl|Data|Info)$")
WORDS = re.compile(r"\b(zombies?|stuck|tickets?)\b|\borphan(?!_limit)", re.IGNORECASE)
SUPPRESSION = re.compile(r"#\s*(?:noqa|type:\s*ignore|pyright:\s*ignore|mypy:|ruff:)(?P<rest>.*)")
EXPLAINED = re.compile(r"^:\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*\s+--? \w.+")
THIS_FILE = tree.ROOT / "tests/unit/architecture/test_shape.py"


def test_modules_fit_in_four_hundred_lines() -> None:
    sizes = {str(path.relative_to(tree.ROOT)): len(tree.text(path).splitlines()) for path in tree.code()}

    assert {name: lines for name, lines in sizes.items() if lines > MODULE_LINES_MAX} == {}


def test_functions_fit_on_a_screen() -> None:
    sizes = {
        f"{tree.where(path, node)} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in tree.code()
        for node in tree.functions(path)
    }

    assert {name: lines for name, lines in sizes.items() if lines > FUNCTION_LINES_MAX} == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(tree.ROOT)) for path in tree.code() if not ast.get_docstring(tree.parsed(path))
    ]

    assert silent == []


def test_no_class_is_named_after_nothing() -> None:
    vague = [
        f"{tree.where(path, node)} {node.name}"
        for path in tree.code()
        for node in tree.classes(path)
        if CLASS_ENDINGS.search(node.name)
    ]

    assert vague == []


def test_words_of_other_systems_are_not_used() -> None:
    used = [
        f"{path.relative_to(tree.ROOT)}:{number}: {line.strip()}"
        for path in tree.files()
        if path.suffix in {".py", ".sql", ".proto", ".md"} and path != THIS_FILE
        for number, line in enumerate(tree.text(path).splitlines(), 1)
        if WORDS.search(line)
    ]

    assert used == []


def test_no_function_of_ours_is_called_a_task() -> None:
    """The REST documents of older systems speak of tasks, so the gateway may."""
    named = [
        f"{tree.where(path, node)} {node.name}"
        for path in tree.shipped()
        if tree.PACKAGES["callsheet_gateway"] not in path.parents
        for node in (*tree.functions(path), *tree.classes(path))
        if re.search(r"(^|_)tasks?(_|$)|Task", node.name)
    ]

    assert named == []


def test_limits_of_time_say_what_they_limit_and_in_which_unit() -> None:
    bare = [
        f"{tree.where(path, argument)} {node.name}"
        for path in tree.shipped()
        for node in tree.functions(path)
        if not any(isinstance(mark, ast.Name) and mark.id == "override" for mark in node.decorator_list)
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        if argument.arg == "timeout"
    ]

    assert bare == []


def test_every_suppressed_finding_has_a_reason() -> None:
    unexplained = [
        f"{path.relative_to(tree.ROOT)}:{number}: {line.strip()}"
        for path in tree.code()
        if path != THIS_FILE
        for number, line in enumerate(tree.text(path).splitlines(), 1)
        if (found := SUPPRESSION.search(line)) and not EXPLAINED.match(found["rest"])
    ]

    assert unexplained == []
