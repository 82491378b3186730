"""One real Callsheet for this folder, a browser for each file of tests, and a signed-in page for each test.

The browser stays no longer: while Playwright is there its event loop counts as running, and asynchronous
tests could not run theirs.
"""

from collections.abc import Generator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.browsers import Complaints, chromium, program
from tests.support.page_stack import Stack, page_stack
from tests.support.patience import PATIENCE_S

LIMIT_MS = 1000 * PATIENCE_S

expect.set_options(timeout=LIMIT_MS)


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="package")
def stack() -> Generator[Stack]:
    program()
    with page_stack() as running:
        yield running


def sign_in(context: BrowserContext, stack: Stack, token: str) -> None:
    """Sign in with a token or a key, as the page does."""
    answer = context.request.post("/api/session", data={"token": token}, headers={"Origin": stack.address})
    assert answer.status == 201, answer.text()


def choose(page: Page, field: str, text: str) -> None:
    """Choose an entry of a list by typing."""
    page.locator(f"#{field}").click()
    page.keyboard.type(text)
    page.locator(".ant-select-dropdown:visible .ant-select-item-option", has_text=text).first.click()
    expect(page.locator(".ant-select-dropdown:visible")).to_have_count(0)


@pytest.fixture(scope="module")
def signed_in(browser: Browser, stack: Stack) -> str:
    """Where the cookie of one sign-in is kept for all tests."""
    context = browser.new_context(base_url=stack.address, reduced_motion="reduce")
    sign_in(context, stack, stack.token)
    path = str(stack.media.parent / "signed-in.json")
    context.storage_state(path=path)
    context.close()
    return path


@pytest.fixture
def context(browser: Browser, stack: Stack, signed_in: str) -> Generator[BrowserContext]:
    made = browser.new_context(
        base_url=stack.address,
        storage_state=signed_in,
        viewport={"width": 1440, "height": 900},
        locale="en-GB",
        color_scheme="light",
        reduced_motion="reduce",  # a button that still moves can be missed
    )
    made.set_default_timeout(LIMIT_MS)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(autouse=True)
def complaints(page: Page) -> Generator[Complaints]:
    """Fail a test whose page threw, was refused something by its policy, or wrote another error."""
    heard = Complaints(page)
    yield heard
    assert heard.all == []
