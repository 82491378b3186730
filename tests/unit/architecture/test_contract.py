"""What is declared is there: statements are used, settings explained, calls served, documents listed."""

import ast
import importlib
import re
from collections import Counter
from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor

from tests.unit.architecture import tree

RPC = tree.PACKAGES["callsheet_scheduler"] / "rpc"
ADR = tree.ROOT / "docs/adr"


def statement_uses() -> list[tuple[str, str]]:
    """Return the function and the statement of every ``statement("...")`` in the store."""
    return [
        (function.name, call.args[0].value)
        for path in tree.shipped()
        if tree.STORE in path.parents
        for function in tree.functions(path)
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "statement"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    ]


def test_every_statement_is_used_in_exactly_one_place() -> None:
    written = {path.stem for path in (tree.STORE / "sql").glob("*.sql")}
    used = Counter(name for _, name in statement_uses())

    assert {name: used[name] for name in written | set(used) if used[name] != 1 or name not in written} == {}


def test_a_statement_says_what_it_does_before_it_does_it() -> None:
    silent = [
        path.name for path in (tree.STORE / "sql").glob("*.sql") if not tree.text(path).startswith("-- ")
    ]

    assert silent == []


def test_every_setting_is_explained() -> None:
    unexplained: list[str] = []
    for path in tree.shipped():
        for node in tree.classes(path):
            if not node.name.endswith("Settings"):
                continue
            for field, after in zip(node.body, [*node.body[1:], None], strict=True):
                explained = (
                    isinstance(after, ast.Expr)
                    and isinstance(after.value, ast.Constant)
                    and isinstance(after.value.value, str)
                )
                if isinstance(field, ast.AnnAssign) and not explained:
                    unexplained.append(f"{tree.where(path, field)} {ast.unparse(field.target)}")

    assert unexplained == []


def wire_services() -> dict[str, set[str]]:
    """Return the calls of every service in the protos."""
    services: dict[str, set[str]] = {}
    for path in sorted((tree.ROOT / "protos/callsheet/v1").glob("*.proto")):
        module = importlib.import_module(f"callsheet.v1.{path.stem}_pb2")
        descriptor = module.DESCRIPTOR
        assert isinstance(descriptor, FileDescriptor)
        for name, service in descriptor.services_by_name.items():
            services[name] = {method.name for method in service.methods}
    return services


@pytest.mark.parametrize("service", sorted(wire_services()))
def test_every_call_of_a_service_is_served(service: str) -> None:
    served = {
        method.name
        for path in tree.shipped()
        if RPC in path.parents
        for node in tree.classes(path)
        if any(ast.unparse(parent).split(".")[-1] == f"{service}Servicer" for parent in node.bases)
        for method in node.body
        if isinstance(method, tree.FunctionNode)
    }

    assert wire_services()[service] - served == set()


def test_every_decision_record_is_in_the_index_and_has_its_parts() -> None:
    index = (ADR / "README.md").read_text(encoding="utf-8")
    records = sorted(path for path in ADR.glob("[0-9]*.md"))

    assert records
    assert re.findall(r"\((\d{4}-[a-z0-9-]+\.md)\)", index) == [path.name for path in records]
    incomplete = [
        path.name
        for path in records
        if not all(f"## {part}\n" in tree.text(path) for part in ("Context", "Decision", "Consequences"))
    ]
    assert incomplete == []


def links() -> list[tuple[Path, str]]:
    """Return every relative link of a document, with the document."""
    return [
        (path, link.split("#")[0])
        for path in tree.files()
        if path.suffix == ".md"
        for link in re.findall(r"\]\(([^)\s]+)\)", tree.text(path))
        if not link.startswith(("http://", "https://", "#", "mailto:"))
    ]


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(tree.ROOT)}: {link}"
        for path, link in links()
        if not (path.parent / link).exists()
    ]

    assert broken == []


def test_paths_that_the_architecture_names_exist() -> None:
    """`folder/file.py` in ARCHITECTURE.md is a path from the root or the end of one."""
    known = [str(path.relative_to(tree.ROOT)) for path in tree.files()]
    named = re.findall(r"`([\w./-]+\.(?:py|sql|proto|md|toml))`", tree.text(tree.ROOT / "ARCHITECTURE.md"))

    assert [
        name for name in named if not any(path == name or path.endswith(f"/{name}") for path in known)
    ] == []


def test_generated_reference_is_up_to_date() -> None:
    generate = importlib.import_module("docs.generate")
    stale = [
        name
        for name, content in generate.documents().items()
        if not (generate.REFERENCE / name).is_file()
        or (generate.REFERENCE / name).read_text(encoding="utf-8") != content
    ]

    assert stale == [], "run `make docs`"
