"""What people do on the page, in a real browser over a whole Callsheet."""

import logging
import os
import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from services.gateway.web.build import WEB
from tests.e2e.conftest import choose
from tests.support.browsers import barriers
from tests.support.media import quadrants
from tests.support.page_stack import LONG, Stack

log = logging.getLogger(__name__)

#: The first test waits until the page is built and everything has started.
pytestmark = pytest.mark.timeout(300)

VIEWS = ("/jobs", "/library", "/queue", "/fleet", "/cache", "/schedules", "/access")
IMAGES = WEB.parents[2] / "docs/images"


def test_a_wrong_token_is_refused_and_the_right_one_opens_the_page(browser: Browser, stack: Stack) -> None:
    page = browser.new_page(base_url=stack.address)
    page.goto("/jobs?status=failed")
    page.get_by_label("Token", exact=True).fill("not the token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("token")

    page.get_by_label("Token", exact=True).fill(stack.token)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    expect(page.get_by_role("button", name="Failed")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to Callsheet")).to_be_visible()
    page.close()


@pytest.mark.parametrize(
    ("kind", "item"), [("validate", "short.mp4"), ("thumbnail_generate", "card_0.jpg"), ("scan", None)]
)
def test_a_job_is_created_from_the_form_and_ends_before_the_readers_eyes(
    page: Page, kind: str, item: str | None
) -> None:
    page.goto("/jobs")
    page.get_by_role("button", name="Create job").click()
    choose(page, "type", kind)
    if item is not None:
        choose(page, "param-videoId", item)
    page.get_by_role("button", name="Create", exact=True).click()

    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    details = page.get_by_role("dialog")
    expect(details.get_by_text("completed", exact=True)).to_be_visible()
    expect(details.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")


def test_every_type_has_a_form_and_a_wrong_wish_is_said_at_its_field(page: Page, stack: Stack) -> None:
    types = [one["type"] for one in stack.rest.get("/api/media/job-types").json()["data"]]
    page.goto("/jobs")
    page.get_by_role("button", name="Create job").click()
    for kind in types:
        choose(page, "type", kind)
        expect(page.get_by_role("tab", name="Form")).to_be_visible()
        expect(page.locator(".create-grid .field").first).to_be_visible()

    choose(page, "type", "reencode_streaming")
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("Parameters").fill('{"crf": "much"')
    expect(page.get_by_text("This is no JSON object.")).to_be_visible()
    expect(page.get_by_role("button", name="Create", exact=True)).to_be_disabled()
    page.get_by_label("Parameters").fill('{"crf": "much"}')
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("crf")


def test_a_bar_moves_and_a_log_grows_until_the_job_is_cancelled_and_tried_again(
    page: Page, stack: Stack
) -> None:
    job = stack.submit("reencode_streaming", videoId=stack.item(LONG), preset="veryslow", distribute="never")
    page.goto(f"/jobs/{job}")
    details = page.get_by_role("dialog")
    bar = details.get_by_role("progressbar")
    log = details.get_by_role("log")
    expect(details.get_by_text("running", exact=True)).to_be_visible()
    expect(log).not_to_have_text("Nothing yet.")
    first = log.inner_text()
    expect(bar).not_to_have_attribute("aria-valuenow", "0")
    seen = bar.get_attribute("aria-valuenow") or ""
    expect(bar).not_to_have_attribute("aria-valuenow", seen)
    expect(log).not_to_have_text(first)

    details.get_by_role("button", name="Cancel …").click()
    page.get_by_role("button", name="Leave as is").click()
    expect(details.get_by_text("running", exact=True)).to_be_visible()
    details.get_by_role("button", name="Cancel …").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(details.get_by_text("cancelled", exact=True).first).to_be_visible()

    details.get_by_role("button", name="Retry").click()
    expect(details.get_by_text("running", exact=True)).to_be_visible()
    expect(log).to_contain_text("RETRY ATTEMPT 1")
    stack.rest.post(f"/api/media/jobs/{job}/cancel")
    expect(details.get_by_text("cancelled", exact=True).first).to_be_visible()


def test_chosen_jobs_are_paused_and_resumed_together_and_filters_live_in_the_address(
    page: Page, stack: Stack
) -> None:
    stack.rest.post("/api/queues/validate/pause").raise_for_status()
    item = stack.item("short.mp4")
    jobs = [stack.submit("validate", videoId=item, depth="probe") for _ in range(3)]
    page.goto("/jobs?type=validate&status=pending")
    for job in jobs:
        page.get_by_label(f"Choose validate {job}").check()
    bar = page.get_by_role("toolbar")
    expect(bar).to_contain_text("3 chosen")
    bar.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("No job passes these filters.")).to_be_visible()

    page.get_by_role("group", name="Status").get_by_role("button", name="Pending").click()
    page.get_by_role("group", name="Status").get_by_role("button", name="Paused").click()
    expect(page).to_have_url(re.compile(r"type=validate.*status=paused|status=paused.*type=validate"))
    expect(page.locator("tr.row")).to_have_count(3)
    page.reload()
    expect(page.locator("tr.row")).to_have_count(3)

    page.get_by_label("Choose all of this page").check()
    page.get_by_role("toolbar").get_by_role("button", name="Resume").click()
    expect(page.get_by_text("No job passes these filters.")).to_be_visible()
    page.goto("/queue")
    page.get_by_role("button", name="Resume validate").click()
    expect(page.get_by_role("button", name="Pause validate")).to_be_visible()
    page.goto(f"/jobs/{jobs[0]}")
    expect(page.get_by_role("dialog").get_by_text("completed", exact=True)).to_be_visible()


def test_a_held_page_stays_as_it_is_until_it_is_live_again(page: Page, stack: Stack) -> None:
    stack.rest.post("/api/queues/validate/pause").raise_for_status()
    page.goto("/jobs?type=validate&status=pending")
    expect(page.get_by_text("No job passes these filters.")).to_be_visible()
    page.get_by_role("switch", name="Live").click()

    job = stack.submit("validate", videoId=stack.item("short.mp4"))
    expect(page.get_by_text(re.compile(r"Held, \d+ changes"))).to_be_visible()
    expect(page.get_by_text("No job passes these filters.")).to_be_visible()

    page.get_by_role("switch", name="Live").click()
    expect(page.get_by_label(f"Choose validate {job}")).to_be_visible()
    stack.rest.post("/api/queues/validate/resume").raise_for_status()
    expect(page.get_by_text("No job passes these filters.")).to_be_visible()


def test_an_action_in_the_library_goes_over_to_its_job(page: Page, stack: Stack) -> None:
    page.goto("/library")
    page.get_by_label("Search the library").fill("card_1")
    expect(page.locator(".card")).to_have_count(1)
    page.get_by_role("link", name="Show photos/card_1.jpg").click()
    large = page.get_by_role("dialog")
    expect(large.get_by_text(re.compile("400 . 640")).first).to_be_visible()
    expect(large.locator("img").first).to_have_class("seen")

    large.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Validate metadata").click()

    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    details = page.get_by_role("dialog")
    expect(details.get_by_text("completed", exact=True)).to_be_visible()
    details.get_by_role("link", name="photos/card_1.jpg").click()
    expect(page).to_have_url(re.compile(rf"/library/{stack.item('card_1.jpg')}$"))


def test_a_video_plays_its_small_pictures_under_the_pointer(page: Page, stack: Stack) -> None:
    item = stack.item("short.mp4")
    stack.rest.get(f"/api/media/items/{item}/sprite").raise_for_status()
    page.goto("/library?q=short")
    page.get_by_role("link", name="Show films/short.mp4").hover()
    expect(page.locator(".scrub image")).to_have_attribute("href", f"/api/media/items/{item}/sprite")


def test_pictures_appear_while_a_scan_runs(page: Page, stack: Stack) -> None:
    page.goto("/library?q=arrived")
    expect(page.get_by_text("Nothing in the library passes these filters.")).to_be_visible()

    for number in range(3):
        quadrants(320, 200).save(stack.media / f"photos/arrived_{number}.jpg")
    stack.submit("scan", root="library")

    expect(page.locator(".card img.seen")).to_have_count(3)


def test_the_account_of_a_card_follows_what_is_charged_to_it_and_what_others_take(
    page: Page, stack: Stack
) -> None:
    page.goto("/fleet")
    card = page.get_by_role("article")
    expect(card.get_by_role("heading", name="Tesla 16 GB")).to_be_visible()

    job = stack.submit("reencode_streaming", videoId=stack.item(LONG), preset="veryslow", distribute="never")
    expect(card.get_by_role("link", name="reencode_streaming")).to_be_visible()
    expect(card.get_by_role("img", name=re.compile("3.9 GiB are reserved"))).to_be_visible()
    stack.cards.set(stack.cards.lines[0].replace(" 400 ", " 2448 "))
    expect(card.locator(".memory-figures")).to_contain_text("2.4 GiB")

    stack.rest.post(f"/api/media/jobs/{job}/cancel")
    expect(card.get_by_role("link", name="reencode_streaming")).to_have_count(0)
    expect(card.get_by_role("img", name=re.compile("0 MiB are reserved"))).to_be_visible()


def test_an_open_page_survives_a_restart_of_the_scheduler(page: Page, stack: Stack) -> None:
    page.goto("/jobs?type=validate")
    expect(page.get_by_role("switch", name="Live")).to_be_checked()
    stack.kill_scheduler()
    expect(page.get_by_role("status").filter(has_text="No scheduler leads")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="No scheduler leads")).to_have_count(0)

    job = stack.submit("validate", videoId=stack.item("short.mp4"), depth="decode")

    row = page.locator("tr.row", has=page.get_by_label(f"Choose validate {job}"))
    expect(row.get_by_text("completed", exact=True)).to_be_visible()


def test_a_change_is_on_the_page_long_before_it_would_ask_again(page: Page, stack: Stack) -> None:
    """A page that polled would take a second on average. Machines are busy here; the log has figures."""
    stack.rest.post("/api/queues/validate/pause").raise_for_status()
    item = stack.item("short.mp4")
    jobs = [stack.submit("validate", videoId=item) for _ in range(8)]
    page.goto("/jobs?type=validate")
    expect(page.get_by_label(f"Choose validate {jobs[0]}")).to_be_visible()
    taken = sorted(tuple(page.evaluate(MEASURE, [job, stack.token])) for job in jobs)
    stack.rest.post("/api/media/jobs/actions", json={"action": "cancel", "ids": jobs}).raise_for_status()
    stack.rest.post("/api/queues/validate/resume").raise_for_status()

    log.info("ms from an answer to the page, and of those from the event: %s", taken)
    assert taken[len(taken) // 4][0] < 500


MEASURE = """async ([job, token]) => {
  const row = document.querySelector(`tr[data-job="${job}"]`);
  const shown = () => row.querySelector(".status").textContent.startsWith("paused");
  let heard = 0;
  const events = new EventSource("/api/media/jobs/events");
  await new Promise((resolve) => (events.onopen = resolve));
  events.addEventListener("job", ({ data }) => {
    if (JSON.parse(data).id === job) heard ||= performance.now();
  });
  const seen = new Promise((resolve) => {
    const watcher = new MutationObserver(() => {
      if (!shown()) return;
      watcher.disconnect();
      resolve(performance.now());
    });
    watcher.observe(row, { subtree: true, childList: true, characterData: true });
  });
  await fetch(`/api/media/jobs/${job}/pause`, {
    method: "POST",
    credentials: "omit",
    headers: { Authorization: `Bearer ${token}` },
  });
  const answered = performance.now();
  const drawn = await seen;
  events.close();
  return [Math.max(0, drawn - answered), heard ? drawn - heard : 0].map(Math.round);
}"""


@pytest.mark.parametrize("path", VIEWS)
def test_a_phone_shows_a_view_without_scrolling_sideways(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    page.get_by_role("button", name="Open the menu").click()
    expect(page.get_by_role("dialog").get_by_role("link", name="Queue")).to_be_visible()


def test_the_first_load_is_light(page: Page) -> None:
    page.goto("/jobs")
    expect(page.get_by_role("table")).to_be_visible()
    weight = page.evaluate(
        "performance.getEntriesByType('resource').filter((one) => one.name.includes('/assets/'))"
        ".reduce((sum, one) => sum + one.encodedBodySize, 0)"
    )
    log.info("first load: %s bytes", weight)
    assert 100_000 < weight < 400_000


@pytest.mark.parametrize("shade", ["light", "dark"])
def test_no_view_shuts_anybody_out(page: Page, stack: Stack, shade: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=shade)
    job = stack.submit("validate", videoId=stack.item("short.mp4"))
    findings: dict[str, list[str]] = {}
    for path in (*VIEWS, f"/jobs/{job}", f"/library/{stack.item('card_0.jpg')}"):
        page.goto(path)
        expect(page.get_by_role("heading").first).to_be_visible()
        expect(page.locator(".ant-skeleton, .ant-spin-spinning")).to_have_count(0)
        if found := barriers(page):
            findings[path] = found

    assert findings == {}


def test_everything_is_within_reach_of_the_keyboard(page: Page) -> None:
    page.goto("/jobs")
    expect(page.get_by_role("table")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("switch", name="Live")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


SHOWN = (
    ("validate", "card_2.jpg"),
    ("thumbnail_generate", "short.mp4"),
    ("clip_generate", "card_1.jpg"),
    ("thumbnail_generate", "card_0.jpg"),
    ("validate", "tone.mp3"),
)


@pytest.mark.parametrize("shade", ["light", "dark"])
def test_the_page_sits_for_the_pictures_of_the_readme(
    page: Page, stack: Stack, shade: Literal["light", "dark"], tmp_path: Path
) -> None:
    """They are kept with PICTURES=1 alone, so that a run of the tests changes nothing."""
    folder = IMAGES if os.environ.get("PICTURES") else tmp_path
    page.emulate_media(color_scheme=shade)
    page.set_viewport_size({"width": 1440, "height": 810})
    for kind, filename in SHOWN:
        stack.submit(kind, videoId=stack.item(filename))
    wish = {"videoId": stack.item(LONG), "preset": "veryslow", "distribute": "never"}
    job = stack.submit("reencode_streaming", **wish)
    page.goto("/jobs")
    expect(page.locator("tr.row", has=page.get_by_label(job)).get_by_text("running")).to_be_visible()

    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / f"jobs-{shade}.png")
    stack.rest.post(f"/api/media/jobs/{job}/cancel")

    assert (folder / f"jobs-{shade}.png").stat().st_size > 20_000
