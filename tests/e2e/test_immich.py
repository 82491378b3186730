"""An Immich server on the page: its queues, their order, the pause of its controller, and its absence."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from callsheet_immich_agent.main import share
from callsheet_immich_agent.policy import UNMANAGED
from callsheet_immich_agent.settings import ImmichWorkerSettings
from playwright.sync_api import Locator, Page, expect

from tests.support.browsers import barriers
from tests.support.immich_queues import NAMES, SimulatedImmich
from tests.support.immich_server import KEY, StandIn, standing_in
from tests.support.page_stack import Stack

#: The first test waits until the page is built and everything has started.
pytestmark = pytest.mark.timeout(300)


@asynccontextmanager
async def steered(stack: Stack, folder: Path) -> AsyncGenerator[StandIn]:
    """Run a server whose smartSearch has work without end, and its controller."""
    found = SimulatedImmich({"smartSearch": 1234, "ocr": 56}, follow_on={})
    found.queues["smartSearch"].service_s = inf
    for name in set(NAMES) - UNMANAGED:
        found.pause(name)
    connection = json.loads((stack.up.data / "connection.json").read_text(encoding="utf-8"))
    async with standing_in(found) as immich:
        settings = ImmichWorkerSettings.model_validate(
            {
                "scheduler": connection["scheduler"],
                "join_token_file": stack.up.data / connection["join_token_file"],
                "immich_url": immich.address,
                "immich_api_key": KEY,
                "immich_poll_interval_s": 0.5,
                "immich_state": folder,
            }
        )
        stop = asyncio.Event()
        running = asyncio.create_task(share(settings, stop))
        try:
            yield immich
        finally:
            stop.set()
            await running


@pytest.fixture
def immich(stack: Stack, tmp_path: Path) -> Generator[StandIn]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(steered(stack, tmp_path)) as one,
    ):
        yield one


def set_how_often_the_controller_looks(page: Page, server: Locator, stack: Stack) -> None:
    """Set it, see it when the form opens again, and leave it to the settings."""
    form = server.get_by_role("button", name="Queues at once of immich")
    seconds = page.get_by_label("Seconds between looks", exact=True)
    for wanted, was, shown_as in (("0.75", "", (0.75, False)), ("", "0.75", (0.5, True))):
        form.click()
        expect(seconds).to_have_value(was)
        expect(seconds).to_have_attribute("placeholder", "as set there")
        seconds.fill(wanted)
        with page.expect_response(lambda answer: answer.request.method == "PATCH"):
            page.get_by_role("button", name="Set", exact=True).click()
        expect(seconds).to_be_hidden()
        expect(server).not_to_contain_text("taken over in a moment")
        (shown,) = stack.rest.get("/api/immich").json()["data"]
        assert (shown["interval"], shown["intervalIsOwn"]) == shown_as


def test_queues_are_put_in_order_and_the_controller_is_paused(
    page: Page, stack: Stack, immich: StandIn
) -> None:
    page.goto("/immich")
    server = page.get_by_role("region", name="Immich server immich")
    queues = server.get_by_role("list", name="Queues of immich, most urgent first").get_by_role("listitem")
    expect(queues.filter(has_text="Smart search")).to_contain_text("running")
    expect(queues.filter(has_text="Ocr")).to_contain_text("held back")
    expect(server).to_contain_text("Never touched: Background task")
    assert barriers(page) == []

    # By keyboard, and by a drag.
    expect(queues.nth(0)).to_contain_text("Sidecar")
    server.get_by_role("button", name="Move metadataExtraction").focus()
    told = page.locator("[id^=DndLiveRegion]")
    page.keyboard.press("Space")
    while "over droppable area sidecar" not in (told.text_content() or ""):
        page.keyboard.press("ArrowUp")  # heard once the list is measured; above the first is nothing
        page.wait_for_timeout(50)
    page.keyboard.press("Space")
    expect(queues.nth(0)).to_contain_text("Metadata extraction")
    expect(server.get_by_role("button", name="Take the order of its settings")).to_be_visible()
    grip = server.get_by_role("button", name="Move smartSearch").bounding_box()
    first = queues.nth(0).bounding_box()
    assert grip is not None
    assert first is not None
    page.mouse.move(grip["x"] + 8, grip["y"] + 8)
    page.mouse.down()
    page.mouse.move(first["x"] + 20, first["y"] + 4, steps=12)
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.mouse.up()
    expect(queues.nth(0)).to_contain_text("Smart search")
    (shown,) = stack.rest.get("/api/immich").json()["data"]
    assert shown["order"][:2] == ["smartSearch", "metadataExtraction"]
    server.get_by_role("button", name="Take the order of its settings").click()
    expect(queues.nth(0)).to_contain_text("Sidecar")

    set_how_often_the_controller_looks(page, server, stack)

    server.get_by_role("button", name="Pause the controller of immich").click()
    expect(server).to_contain_text("The controller is paused by")
    for shade in ("light", "dark"):  # the pointer rests on the button
        page.emulate_media(color_scheme=shade)
        expect(page.locator(f"html[data-shade={shade}]")).to_be_attached()
        assert barriers(page) == []
    server.get_by_role("button", name="Resume the controller of immich").click()
    expect(server).not_to_contain_text("The controller is paused by")

    immich.permissions = frozenset()
    expect(server).to_contain_text("unreachable")
    expect(server).to_contain_text("needs the permission queue.read")
