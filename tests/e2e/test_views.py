"""What people do in the views beside the jobs, and what the page offers to each role."""

import json
import re
from base64 import b64encode
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from io import BytesIO

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.conftest import choose, sign_in
from tests.support.browsers import barriers
from tests.support.media import quadrants
from tests.support.page_stack import LONG, Stack

#: The first test waits until the page is built and everything has started.
pytestmark = pytest.mark.timeout(300)

DROP = """([name, content]) => {
  const carried = new DataTransfer();
  const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
  carried.items.add(new File([bytes], name, { type: "image/jpeg" }));
  for (const step of ["dragover", "drop"]) {
    document.body.dispatchEvent(
      new DragEvent(step, { dataTransfer: carried, bubbles: true, cancelable: true }),
    );
  }
}"""
REFUSALS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


def key_of(stack: Stack, name: str, role: str) -> str:
    """Make an API key."""
    answer = stack.rest.post("/api/keys", json={"name": name, "role": role})
    answer.raise_for_status()
    return str(answer.json()["key"])


@contextmanager
def page_with(browser: Browser, stack: Stack, token: str) -> Generator[tuple[Page, list[str]]]:
    """Open a page that is signed in with a token; the list gets what it asks for and is refused."""
    context = browser.new_context(base_url=stack.address, locale="en-GB", reduced_motion="reduce")
    sign_in(context, stack, token)
    page = context.new_page()
    refused: list[str] = []
    page.on("response", lambda one: refused.append(one.url) if one.status in REFUSALS else None)
    yield page, refused
    context.close()


def confirmed(page: Page, button: str, method: str) -> None:
    """Click what a dialog asks for, and wait for the answer to the request that it sends."""
    with page.expect_response(lambda answer: answer.request.method == method) as told:
        page.get_by_role("button", name=button, exact=True).click()
    assert told.value.ok


def test_a_schedule_is_made_run_paused_and_forgotten(page: Page, stack: Stack) -> None:
    page.goto("/schedules")
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Name").fill("hourly-look")
    page.get_by_label("When, as cron writes it").fill("61 * * * *")
    choose(page, "job-type", "validate")
    page.get_by_label("Its parameters, as JSON").fill(json.dumps({"videoId": stack.item("short.mp4")}))
    assert barriers(page) == []
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_contain_text("cron")
    page.get_by_label("When, as cron writes it").fill("0 * * * *")
    page.get_by_role("button", name="Create").click()

    page.get_by_role("button", name="Pause hourly-look").click()
    expect(page.get_by_role("button", name="Resume hourly-look")).to_be_visible()
    assert stack.rest.get("/api/schedules/hourly-look").json()["pausedAt"] is not None

    row = page.get_by_role("listitem").filter(has_text="hourly-look")
    row.get_by_role("button", name="Run now").click()
    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    expect(page.get_by_role("dialog").get_by_text("completed", exact=True)).to_be_visible()

    page.goto("/schedules")
    page.get_by_role("button", name="Forget hourly-look").click()
    page.get_by_role("button", name="Cancel").click()
    expect(row).to_be_visible()
    page.get_by_role("button", name="Forget hourly-look").click()
    page.get_by_role("button", name="Forget it").click()
    expect(row).to_have_count(0)
    assert stack.rest.get("/api/schedules/hourly-look").status_code == HTTPStatus.NOT_FOUND


def test_a_key_is_shown_once_opens_the_gateway_until_it_is_revoked_and_leaves_a_trail(
    page: Page, stack: Stack
) -> None:
    page.goto("/access")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Whom it is for").fill("Not A Name")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("alert")).to_contain_text("name")
    page.get_by_label("Whom it is for").fill("cutting-room")
    assert barriers(page) == []
    page.get_by_role("button", name="Make it").click()
    key = page.get_by_role("textbox", name="The key").input_value()
    assert barriers(page) == []
    page.get_by_role("button", name="Done").click()

    row = page.get_by_role("row").filter(has_text="cutting-room")
    expect(row).to_contain_text("submitter")
    assert key not in page.content()
    bearer = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{stack.address}/api/media/jobs", headers=bearer).status_code == HTTPStatus.OK

    page.get_by_role("button", name="Revoke cutting-room").click()
    confirmed(page, "Revoke", "DELETE")
    expect(row).to_contain_text("revoked")
    said = httpx.get(f"{stack.address}/api/media/jobs", headers=bearer)
    assert said.status_code == HTTPStatus.UNAUTHORIZED

    page.reload()
    trail = page.get_by_role("region", name="Trail")
    expect(trail.get_by_role("row").filter(has_text="cutting-room").first).to_contain_text("POST /api/keys")
    page.get_by_label("Only of this caller").fill("nobody-at-all")
    page.keyboard.press("Enter")
    expect(trail).to_contain_text("Nothing was done yet.")


def test_the_cache_is_built_from_the_page_and_says_what_it_holds(page: Page) -> None:
    page.goto("/cache")
    expect(page.locator(".figures b").first).to_have_text(re.compile(r"^[1-9]"))
    page.get_by_role("checkbox", name="Make everything again").check()
    page.get_by_role("button", name="Build").click()

    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    expect(page.get_by_role("dialog").get_by_text("completed", exact=True)).to_be_visible()
    page.goto("/cache")
    jobs = page.get_by_role("region", name="Its jobs")
    expect(jobs.get_by_role("listitem").filter(has_text="cache_build").first).to_contain_text("completed")


def test_what_a_type_needs_is_changed_and_given_back_to_its_declaration(page: Page, stack: Stack) -> None:
    def changed() -> object:
        types = stack.rest.get("/api/media/job-types").json()["data"]
        return next(one["changed"]["runLimit"] for one in types if one["type"] == "compile_gif")

    page.goto("/queue")
    needs = page.get_by_role("button", name="Needs of compile_gif")
    needs.click()
    page.get_by_label("Seconds an attempt may run").fill("77")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(needs).to_contain_text("1 min 17 s at most")
    assert changed() == 77

    expect(page.get_by_label("Seconds an attempt may run")).to_have_count(0)
    needs.click()
    page.get_by_label("Seconds an attempt may run").fill("")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(needs).not_to_contain_text("1 min 17 s at most")
    assert changed() is None


def test_files_that_are_dropped_arrive_through_a_cut_in_the_collection_that_is_shown(
    page: Page, stack: Stack
) -> None:
    stack.rest.post("/api/collections", json={"slug": "dailies", "title": "Dailies"}).raise_for_status()
    steps: list[str] = []

    def cut_once(route: Route) -> None:
        steps.append(route.request.method)
        if steps == ["PATCH"]:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/api/media/upload/*", cut_once)
    picture = BytesIO()
    quadrants(360, 240).save(picture, "JPEG")
    page.goto("/library?collection=dailies")
    expect(page.get_by_text("Nothing in the library passes these filters.")).to_be_visible()
    page.evaluate(DROP, ["dropped.jpg", b64encode(picture.getvalue()).decode()])

    uploads = page.get_by_role("region", name="Uploads")
    expect(uploads).to_contain_text("arrived")
    expect(page.get_by_role("link", name=re.compile("Show .*dropped.jpg"))).to_be_visible()
    collection = page.get_by_role("region", name="Collection dailies")
    expect(collection.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    assert steps == ["PATCH", "HEAD", "PATCH"]
    assert barriers(page) == []


def test_who_submits_jobs_sees_and_steers_their_own_and_is_offered_no_more(
    browser: Browser, stack: Stack
) -> None:
    key = key_of(stack, "submitter", "SUBMITTER")
    stack.submit("validate", videoId=stack.item("short.mp4"))
    with page_with(browser, stack, key) as (page, refused):
        page.goto("/")
        views = page.get_by_role("navigation", name="Views").get_by_role("link")
        expect(views).to_have_text(["Jobs", "Library", "Cache"])
        expect(page.get_by_text("Nothing has been asked for yet.")).to_be_visible()

        wish = {"videoId": stack.item(LONG), "preset": "veryslow", "distribute": "never"}
        body = {"type": "reencode_streaming", "params": wish}
        answer = httpx.post(
            f"{stack.address}/api/media/jobs", json=body, headers={"Authorization": f"Bearer {key}"}
        )
        row = page.locator("tr.row", has=page.locator(f'a[href="/jobs/{answer.json()["id"]}"]'))
        expect(row).to_be_visible()
        expect(page.get_by_role("checkbox")).to_have_count(0)
        row.get_by_role("button", name="Actions for reencode_streaming").click()
        page.get_by_role("menuitem", name="Cancel …").click()
        page.get_by_role("button", name="Cancel the job").click()
        expect(row.get_by_text("cancelled", exact=True)).to_be_visible()
        row.get_by_role("link").click()
        expect(page.get_by_role("dialog").get_by_role("button", name="Retry")).to_be_visible()

        page.goto("/library")
        expect(page.get_by_role("button", name="Upload")).to_be_visible()
        page.goto("/cache")
        expect(page.get_by_text("Metadata", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Build")).to_have_count(0)
        page.goto("/queue")
        expect(page.get_by_text("Queue needs the role operator")).to_be_visible()
    assert refused == []


def test_who_may_only_look_is_offered_nothing_that_changes_anything(browser: Browser, stack: Stack) -> None:
    with page_with(browser, stack, key_of(stack, "viewer", "VIEWER")) as (page, refused):
        page.goto("/")
        views = page.get_by_role("navigation", name="Views").get_by_role("link")
        expect(views).to_have_text(["Library", "Cache"])
        page.get_by_role("link", name="Show photos/card_0.jpg").click()
        large = page.get_by_role("dialog")
        expect(large.get_by_text("Made from it")).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("Actions|Upload"))).to_have_count(0)
        page.goto("/jobs")
        expect(page.get_by_text("Jobs needs the role submitter")).to_be_visible()
    assert refused == []
