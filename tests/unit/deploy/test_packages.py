"""Packages of one release belong together, and each brings the licence."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

ROOT = Path(__file__).parents[3]
PROJECTS = sorted([ROOT / "pyproject.toml", *ROOT.glob("services/*/pyproject.toml")])


class Described(BaseModel):
    """What is looked at of a project."""

    model_config = ConfigDict(extra="ignore")

    name: str
    version: str
    dependencies: tuple[str, ...]
    optional: dict[str, tuple[str, ...]] = Field(default={}, alias="optional-dependencies")


def described(path: Path) -> Described:
    """Return what a project says of itself."""
    return Described.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))["project"])


VERSION = described(ROOT / "pyproject.toml").version


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_package_wants_its_like_in_its_own_version_alone(path: Path) -> None:
    project = described(path)
    wanted = [*project.dependencies, *(one for listed in project.optional.values() for one in listed)]
    ours = [one for one in wanted if re.match(r"callsheet\b", one) and not one.startswith(f"{project.name}[")]

    assert project.version == VERSION
    assert [one for one in ours if not one.endswith(f"=={VERSION}")] == []


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_package_has_the_licence(path: Path) -> None:
    assert (path.parent / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_everything_that_up_starts_comes_with_local() -> None:
    services = {described(path).name for path in PROJECTS[1:]} | {described(PROJECTS[0]).name}
    local = described(ROOT / "pyproject.toml").optional["local"]

    assert {re.split(r"[\[=]", one)[0] for one in local} == services - {"callsheet"}
