"""Pages in a real browser: no serious fault for axe-core, light and dark, nothing that the content security policy stops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from streams.wiring.adapters.database.store import Store
from streams.wiring.console.pages import PAGES
from tests.helpers.chromium import faults, needs_chromium, serving
from tests.helpers.console import PASSWORD, Desk, console
from tests.helpers.database import write
from tests.helpers.history import history, part
from tests.helpers.unknowns import biggest, plant, settled

pytestmark = needs_chromium
WANTED = [page.path for page in PAGES if page.menu]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Desk]]:
    """A console on loopback, and its address."""
    with console(tmp_path_factory.mktemp("console")) as desk:
        desk.user("admin", "chief")
        settled(desk, plant(9, 7, site="zeta"))
        desk.follow()
        with serving(desk.ports) as address:
            yield address, desk


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, served: tuple[str, Desk]) -> Iterator[Page]:
    """Logged in with keys alone; what the browser complains of ends the test."""
    context = browser.new_context(color_scheme=request.param, base_url=served[0], viewport={"width": 820, "height": 1100})
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto("/login")
    page.keyboard.type("chief")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/lines")
    yield page
    context.close()
    assert not [text for text in said if "Content Security Policy" in text or "violat" in text]


def test_no_page_has_a_fault_or_is_wider_than_a_tablet(page: Page, served: tuple[str, Desk]) -> None:
    cluster = f"/unknowns/cluster?id={biggest(served[1])}"
    for path in (*WANTED, cluster, f"/inspection?id={part(20)}", "/inspection?q=nothing"):
        page.goto(path)
        assert faults(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= 820, path


def test_the_first_key_skips_to_the_content_and_every_link_is_reached_by_keys(page: Page) -> None:
    page.goto("/lines")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.goto("/lines")
    reached = set()
    for _ in range(len(WANTED) + 2):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('href')"))
    assert set(WANTED) <= reached


def test_counts_come_by_themselves(page: Page, served: tuple[str, Desk]) -> None:
    page.goto("/lines")
    total = page.locator(".counts .total dd").first
    before = int(total.inner_text())
    write(Store(served[1].engine), list(history(before + 5)))  # five parts more
    expect(total).to_have_text(str(before + 5), timeout=20_000)


def part_of(page: Page) -> str:
    return page.locator("#part input[name=inspection]").input_value()


def press(page: Page, key: str) -> None:
    """One key, and the page is ready for the next one."""
    before = int(page.locator("#queue").get_attribute("data-ready") or 0)
    page.keyboard.press(key)
    expect(page.locator(f"#queue[data-ready='{before + 1}']")).to_be_attached(timeout=10_000)


def open_queue(page: Page) -> str:
    page.goto("/queue")
    expect(page.locator("#queue[data-ready]")).to_be_attached(timeout=10_000)
    return part_of(page)


def test_one_key_decides_one_takes_back_and_what_happened_is_said(page: Page) -> None:
    first = open_queue(page)
    press(page, "g")
    assert part_of(page) != first
    assert page.locator("#said").inner_text() == "Good: it passes."
    assert page.evaluate("document.activeElement.id") == "what"
    second = part_of(page)
    press(page, "1")
    assert page.locator("#said").inner_text() == "dent: scrap."
    press(page, "z")
    assert part_of(page) == second
    assert page.locator("#said").inner_text() == "Taken back: here it is again."
    assert faults(page) == []
    press(page, "n")
    assert page.locator("#said").inner_text() == "New kind of defect: scrap."


def test_a_key_held_down_or_struck_twice_decides_one_part(page: Page, served: tuple[str, Desk]) -> None:
    open_queue(page)
    left = served[1].ports.reviews.room.counts("chief").left
    page.keyboard.down("g")
    page.keyboard.down("g")
    page.keyboard.press("1")
    expect(page.locator("#queue[data-ready='2']")).to_be_attached(timeout=10_000)
    page.keyboard.up("g")
    assert served[1].ports.reviews.room.counts("chief").left == left - 1


def test_buttons_do_what_keys_do_and_keys_with_modifiers_are_the_browsers(page: Page) -> None:
    first = open_queue(page)
    page.keyboard.press("Control+g")
    assert part_of(page) == first
    page.get_by_role("button", name="Good").click()
    expect(page.locator("#said")).to_have_text("Good: it passes.", timeout=10_000)
    page.get_by_role("button", name="Take back").click()
    expect(page.locator("#said")).to_have_text("Taken back: here it is again.", timeout=10_000)
    assert part_of(page) == first


def test_an_overlay_that_was_switched_off_stays_off(page: Page) -> None:
    open_queue(page)
    for _ in range(20):
        if page.locator(".toggle[id^=heat]").count():
            break
        press(page, "s")
    heat = page.locator("image.heat").first
    expect(heat).to_be_visible()
    page.keyboard.press("h")
    expect(heat).to_be_hidden()
    press(page, "s")
    press(page, "z" if page.locator("[data-key=z]").count() else "s")
    assert not page.locator(".toggle[id^=heat]:checked").count()
    page.keyboard.press("h")


def test_the_keys_are_on_the_page(page: Page) -> None:
    open_queue(page)
    assert not page.locator(".keys dl").is_visible()
    page.keyboard.press("?")
    assert page.locator(".keys dl").is_visible()
    assert faults(page) == []


def test_an_answer_that_the_console_did_not_get_is_not_taken_for_given(page: Page) -> None:
    away = [True]  # routed before the page is there: a page that stands may send one more by the way that it knows
    page.route("**/queue/answer", lambda route: route.abort() if away[0] else route.continue_())
    first = open_queue(page)
    page.keyboard.press("g")
    expect(page.locator("#said")).to_contain_text("was not recorded", timeout=10_000)
    away[0] = False
    assert part_of(page) == first
    press(page, "g")
    assert page.locator("#said").inner_text() == "Good: it passes."


def test_a_cluster_is_named_and_that_undone_with_keys_alone(page: Page, served: tuple[str, Desk]) -> None:
    page.goto("/unknowns")
    page.locator("article a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/unknowns/cluster?id=*")
    for choice in page.locator('input[type=radio][value="in"]').all():
        choice.focus()
        page.keyboard.press("Space")
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    name = "Rim chip by night" if dark else "Rim chip"  # the class of the other run stays
    page.locator("#new").focus()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type("the same chip on both lines")
    page.keyboard.press("Enter")
    page.wait_for_url("**/unknowns?done=*")
    expect(page.locator("main")).to_contain_text(f"9 parts are {name} now")
    assert faults(page) == []
    page.get_by_role("button", name=f"Undo {name}, 9 parts").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text(f"{name} was taken back")
    assert faults(page) == []
