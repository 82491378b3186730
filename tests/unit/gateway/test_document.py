"""The OpenAPI document is complete, and the page for it loads nothing from elsewhere."""

import json
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import jsonschema_rs
import pytest
from callsheet_gateway.access.auth import ROLES, Role
from callsheet_gateway.problems import PATTERNS, PROBLEM_MEDIA_TYPE
from callsheet_gateway.routes import page
from callsheet_gateway.settings import GatewaySettings
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from tests.support.gateways import rest_over

Json = dict[str, object]
OBJECT: TypeAdapter[Json] = TypeAdapter(Json)
OBJECTS: TypeAdapter[list[Json]] = TypeAdapter(list[Json])
ANYTHING: TypeAdapter[list[object]] = TypeAdapter(list[object])


@pytest.fixture
async def rest() -> AsyncIterator[httpx.AsyncClient]:
    async with rest_over("127.0.0.1:1", GatewaySettings()) as rest:
        del rest.headers["Authorization"]
        yield rest


@pytest.fixture
async def document(rest: httpx.AsyncClient) -> Json:
    return OBJECT.validate_python((await rest.get("/openapi.json")).json())


def part(value: object, *keys: str) -> Json:
    """Return the object at this place of another."""
    for key in keys:
        value = OBJECT.validate_python(value)[key]
    return OBJECT.validate_python(value)


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield method, path and description of every endpoint."""
    for path, methods in part(document, "paths").items():
        for method, operation in part(methods).items():
            yield method.upper(), path, part(operation)


async def test_document_describes_exactly_the_endpoints_of_the_role_table(document: Json) -> None:
    described = {(method, path) for method, path, _ in operations(document)}
    of_docs = {"/openapi.json", "/docs", "/docs/assets/{name}"}
    of_page = {route.path for route in page.router.routes if isinstance(route, APIRoute)}
    undescribed = {("GET", path) for path in of_docs | of_page}
    assert described | undescribed == set(ROLES)
    assert not described & undescribed


def patterns(value: object) -> Iterator[str]:
    """Yield every pattern of a text that the document names."""
    match value:
        case {"pattern": str(pattern), "type": "string"}:
            yield pattern
        case dict():
            for one in OBJECT.validate_python(value).values():
                yield from patterns(one)
        case list():
            for one in ANYTHING.validate_python(value):
                yield from patterns(one)
        case _:
            pass


async def test_every_pattern_of_a_request_is_told_in_words(document: Json) -> None:
    assert set(patterns(document)) == set(PATTERNS)


async def test_every_endpoint_tells_its_role_and_what_credential_it_wants(document: Json) -> None:
    assert part(document, "components", "securitySchemes", "bearer")["scheme"] == "bearer"
    for method, path, operation in operations(document):
        role = ROLES[method, path]
        assert f"Role: `{role.name}`" in str(operation["description"])
        assert operation["security"] == ([] if role is Role.PUBLIC else [{"bearer": []}, {"session": []}])


async def test_operations_have_names_that_programs_can_be_generated_from(document: Json) -> None:
    names = [str(operation["operationId"]) for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert {"list_jobs", "create_job", "cancel_job", "thumbnail"} <= set(names)


async def test_every_error_of_an_endpoint_is_a_problem(document: Json) -> None:
    for method, path, operation in operations(document):
        responses = part(operation, "responses")
        errors = {status: part(answer) for status, answer in responses.items() if status >= "400"}
        if ROLES[method, path] is not Role.PUBLIC:
            assert {"401", "403", "422", "503"} <= set(errors)
        for answer in errors.values():
            content = part(answer, "content")
            assert list(content) == [PROBLEM_MEDIA_TYPE]
            assert part(content, PROBLEM_MEDIA_TYPE, "schema")["$ref"] == "#/components/schemas/Problem"


def lacking(document: Json, schema: Json, at: str) -> list[str]:
    """Return what of a body nobody could imagine: what has no example, and is no choice."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return lacking(document, part(document, "components", "schemas", name), at)
    told = schema.keys() & {"example", "examples", "enum", "const", "default"}
    if (
        told
        or schema.get("type") in {"boolean", "null"}
        or schema.get("format") in {"binary", "event-stream"}
    ):
        return []
    if "properties" in schema:
        fields = part(schema, "properties").items()
        return [one for key, value in fields for one in lacking(document, part(value), f"{at}.{key}")]
    if schema.keys() & {"items", "additionalProperties"}:
        return lacking(document, part(schema.get("items") or schema["additionalProperties"]), f"{at}[]")
    kinds = [one for one in OBJECTS.validate_python(schema.get("anyOf", [])) if one.get("type") != "null"]
    return min((lacking(document, kind, at) for kind in kinds), key=len, default=[at])


async def test_every_body_has_an_example_and_every_endpoint_its_problems(document: Json) -> None:
    wanting: list[str] = []
    for method, path, operation in operations(document):
        bodies = {"request": part(operation, "requestBody")} if "requestBody" in operation else {}
        bodies |= {status: part(answer) for status, answer in part(operation, "responses").items()}
        for name, body in bodies.items():
            for media_type, content in part(part(body).get("content", {})).items():
                if media_type == "text/plain" or "example" in part(content):
                    continue
                wanting += lacking(document, part(content, "schema"), f"{method} {path} {name}")
        if "{" in path and ROLES[method, path] is not Role.PUBLIC:
            wanting += [] if "404" in bodies or "/queues/" in path else [f"{method} {path} 404"]
        if "requestBody" in operation:
            wanting += [
                f"{method} {path} {status}" for status in ("400", "413", "415") if status not in bodies
            ]
    assert wanting == []


async def test_every_reference_in_the_document_leads_somewhere(document: Json) -> None:
    names = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document)))
    schemas = part(document, "components", "schemas")
    assert names - set(schemas) == set()
    assert set(schemas) - names == set()


async def test_every_example_is_what_its_schema_describes(document: Json) -> None:
    """The schemas refer to one another by their place in the document, so it is their root."""
    checked = 0
    for name, schema in part(document, "components", "schemas").items():
        example = part(schema).get("example")
        if example is not None:
            root = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
            jsonschema_rs.Draft202012Validator(root).validate(example)
            checked += 1
    assert checked >= 6


async def test_every_field_of_a_request_is_explained_or_constrained(document: Json) -> None:
    for _, path, operation in operations(document):
        for described in OBJECTS.validate_python(operation.get("parameters", [])):
            assert described.get("description") or described["in"] == "path", (path, described["name"])


async def test_page_loads_nothing_from_elsewhere_and_its_policy_allows_nothing_else(
    rest: httpx.AsyncClient,
) -> None:
    page = await rest.get("/docs")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"/docs/assets/swagger-ui.js", "/docs/assets/docs.js", "/docs/assets/swagger-ui.css"} <= set(
        loaded
    )
    assert [one for one in loaded if not one.startswith(("/", "data:,"))] == []
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    for path in (one for one in loaded if one.startswith("/docs/")):
        asset = await rest.get(path)
        assert asset.status_code == 200
        again = await rest.get(path, headers={"If-None-Match": asset.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_only_the_files_of_the_page_are_served(rest: httpx.AsyncClient) -> None:
    for name in ("docs.py", "..%2fdocs.py", "swagger-ui.js.map", "%2e%2e/app.py"):
        assert (await rest.get(f"/docs/assets/{name}")).status_code == 404


async def test_unknown_path_and_method_are_problems(rest: httpx.AsyncClient) -> None:
    missing = await rest.get("/api/media/nothing")
    assert (missing.status_code, missing.headers["content-type"]) == (404, PROBLEM_MEDIA_TYPE)
    wrong = await rest.request("DELETE", "/api/media/jobs")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, POST")
    assert "takes GET, POST, not DELETE" in wrong.json()["detail"]


async def test_credential_is_looked_at_before_anything_else(rest: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    assert (await rest.post("/api/media/jobs", content=b"{", headers=headers)).status_code == 401
    assert (await rest.get("/api/media/jobs", params={"limit": "x"})).status_code == 401
