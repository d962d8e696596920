"""Classes, Reviewers and the bound on escapes in a real browser, with something on them: axe-core, width, and by keys alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.helpers.chromium import faults, needs_chromium, serving
from tests.helpers.classes import people_at_work
from tests.helpers.console import PASSWORD, console
from tests.helpers.judgement import PRODUCT

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with console(tmp_path_factory.mktemp("console")) as desk:
        people_at_work(desk)
        desk.user("engineer", "m.weber")
        with serving(desk.ports) as found:
            yield found


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(color_scheme=request.param, base_url=address, viewport={"width": 820, "height": 1100})
    page = context.new_page()
    page.goto("/login")
    page.fill("input[name=name]", "m.weber")
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/lines")
    yield page
    context.close()


def test_no_page_has_a_fault_or_is_wider_than_a_tablet(page: Page) -> None:
    for path in (f"/classes?product={PRODUCT}", "/classes?product=nothing", "/reviewers", "/lines"):
        page.goto(path)
        for one in page.locator("summary").all():
            one.click()
        assert faults(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= 820, path


def test_the_counts_of_a_station_stand_in_one_row(page: Page) -> None:
    """A rule of another page that means one of their names would push them apart."""
    page.goto("/lines")
    places = page.evaluate(
        "[...document.querySelectorAll('.counts > div')].map(one => [...one.children].map("
        "part => [Math.round(part.getBoundingClientRect().x), Math.round(part.getBoundingClientRect().y)]))"
    )
    assert len(places) == 6
    assert all(name[0] == number[0] for name, number in places), places
    assert len({number[1] for _, number in places}) == 1, places


def test_a_class_is_renamed_by_keys_alone(page: Page) -> None:
    page.goto(f"/classes?product={PRODUCT}")
    card = page.locator("article", has=page.get_by_role("heading", name="Rim", exact=False)).first
    summary = card.locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "name"
    name = f"Rim {len(page.content())}"
    page.keyboard.press("Control+A")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("as the drawing calls it")
    page.keyboard.press("Enter")
    page.wait_for_url("**done=*")
    assert f"renamed {name}" in page.locator(".notice", has_text="Done").inner_text()
    assert page.get_by_role("heading", name=name).count() == 1
