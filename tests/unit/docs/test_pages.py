"""The reference says what runs, and the README names no more and no less."""

import re
from pathlib import Path

import pytest
import typer
from callsheet_gateway.access.auth import ROLES
from callsheet_gateway.routes.docs import router
from callsheet_gateway.routes.page import router as page_router
from fastapi.routing import APIRoute
from typer.core import TyperGroup

from callsheet.catalog import CATALOG
from callsheet.cli.app import build_app
from docs import generate
from docs.endpoints import Json, endpoints

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(generate.documents()))
def test_page_is_what_the_code_says(name: str) -> None:
    written = (generate.REFERENCE / name).read_text(encoding="utf-8")
    assert written == generate.documents()[name], "run `make docs`"


@pytest.mark.parametrize("name", sorted(generate.documents()))
def test_readme_leads_to_every_page_of_the_reference(name: str) -> None:
    assert f"(docs/reference/{name})" in README


def test_every_endpoint_has_its_place_on_the_page() -> None:
    page = generate.documents()["rest.md"]
    headings = set(re.findall(r"^### ([A-Z]+) (/\S*)$", page, re.MULTILINE))
    routes = (*router.routes, *page_router.routes)
    hidden = {("GET", route.path) for route in routes if isinstance(route, APIRoute)}
    assert headings == set(ROLES) - hidden


def test_links_of_the_page_lead_to_its_objects() -> None:
    page = generate.documents()["rest.md"]
    objects = {name.lower() for name in re.findall(r"^### (\w+)$", page, re.MULTILINE)}
    links = set(re.findall(r"\]\(#(\w+)\)", page))
    assert links
    assert links <= objects


def test_values_of_an_endpoint_are_told_in_words() -> None:
    name: Json = {"name": "q", "in": "query", "required": True, "schema": {"type": "string", "maxLength": 9}}
    answer: Json = {"description": "All | some.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    either: Json = {"anyOf": [{"$ref": "#/components/schemas/A"}, {"type": "null"}], "default": 1}
    listed: Json = {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 1}
    document: Json = {
        "info": {"description": "What it is."},
        "paths": {
            "/q": {
                "get": {
                    "tags": ["things"],
                    "description": "Asks.",
                    "parameters": [dict(name)],
                    "responses": {"200": dict(answer), "404": {"description": "no"}},
                }
            }
        },
        "components": {
            "schemas": {
                "A": {"required": ["b"], "properties": {"b": dict(either), "c": dict(listed)}},
                "D": {"type": "integer", "minimum": 1.0},
            }
        },
    }
    text = "\n".join(endpoints(document))
    for line in (
        "## Things",
        "### GET /q",
        "| `q` (required) | query | string, at most 9 characters |  |",
        "| 200 | `text/plain` | All \\| some. |",
        "Errors: 404.",
        "| `b` | [A](#a) or null, default `1` |  |",
        "| `c` (optional) | list of one of `x`, `y`, at least 1 entries |  |",
        "Integer, at least 1.",
    ):
        assert line in text.splitlines()


def command_names(group: TyperGroup, name: str) -> set[str]:
    """Return the commands with the groups that they are in."""
    return {
        found
        for part, below in group.commands.items()
        for found in (
            command_names(below, f"{name} {part}") if isinstance(below, TyperGroup) else {f"{name} {part}"}
        )
    }


def test_readme_names_commands_that_there_are_and_no_group_without_one() -> None:
    whole = typer.main.get_command(build_app([]))
    assert isinstance(whole, TyperGroup)
    there = command_names(whole, "callsheet")
    lines = [f"{line} " for line in README.splitlines() if line.startswith("callsheet ")]
    named = {next((name for name in there if line.startswith(f"{name} ")), line) for line in lines}
    assert named <= there
    assert {name.split()[1] for name in named} == {name.split()[1] for name in there}


def test_readme_names_every_job_type_and_every_service() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", README, re.MULTILINE))
    assert {name: kind.description for name, kind in CATALOG.items() if not kind.internal} == {
        name: text for name, text in told.items() if name in CATALOG
    }
    services = {path.name for path in (ROOT / "services").iterdir() if path.is_dir()}
    assert services == set(re.findall(r"^\| \[(\w+)\]\(services/", README, re.MULTILINE))
