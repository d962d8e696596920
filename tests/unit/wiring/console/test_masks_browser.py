"""Painting in a real browser, by mouse, touch and keys alone: measured meanwhile, undone, saved as it was seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, Page, expect

from schemas.label import LabelV1
from streams.review.masks import mask_of, read_mask
from streams.wiring.masking import Masking
from tests.helpers.chromium import faults, needs_chromium, serving
from tests.helpers.console import PASSWORD, Desk
from tests.helpers.masks import HEIGHT, WIDTH, painting, plates, truth
from tests.helpers.reviewing import sent

pytestmark = needs_chromium
Served = tuple[str, Desk]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A console on loopback that works on pixels in a process of their own, and its address."""
    folder, painter = tmp_path_factory.mktemp("console"), Masking()
    with painting(folder, plates(folder / "images", 20)) as desk:
        for name in ("ada", "bob", "eve", "mia", "tom"):
            desk.user("reviewer", name)
        with serving(replace(desk.ports, painter=painter)) as address:
            yield address, desk
    painter.close()


@contextmanager
def person(browser: Browser, served: Served, name: str, **more: Any) -> Iterator[Page]:
    """Logged in; what the browser complains of ends the test."""
    context = browser.new_context(base_url=served[0], **{"viewport": {"width": 820, "height": 1100}, **more})
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(f"violated: {error}"))
    page.goto("/login")
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/lines")
    yield page
    context.close()
    assert not [text for text in said if "Content Security Policy" in text or "violat" in text]


def to_paint(page: Page) -> str:
    """From the queue by two keys: a scratch, and where it is. The part."""
    page.goto("/queue")
    expect(page.locator("#queue[data-ready='1']")).to_be_attached(timeout=20_000)
    inspection = page.locator("#part input[name=inspection]").input_value()
    page.keyboard.press("2")
    expect(page.locator("#queue[data-ready='2']")).to_be_attached(timeout=20_000)
    page.keyboard.press("m")
    page.wait_for_url("**/mask?*")
    expect(page.locator("#mask[data-ready]")).to_be_attached(timeout=30_000)
    return inspection


def sized(page: Page) -> tuple[float, float]:
    """(length in mm, area in mm2) as the page says them."""
    texts = [page.locator(f"#{name}").inner_text() for name in ("length", "area")]
    assert all(" mm" in text for text in texts)
    return float(texts[0].split()[0]), float(texts[1].split()[0])


def done(page: Page, act: Any) -> None:
    """Do it, and wait until what it has changed is measured."""
    act()
    expect(page.locator("#mask[data-measured]")).to_be_attached(timeout=20_000)


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the image is while the whole of it is shown."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    zoom = min(box["width"] / WIDTH, box["height"] / HEIGHT)
    left, top = box["x"] + (box["width"] - zoom * WIDTH) / 2, box["y"] + (box["height"] - zoom * HEIGHT) / 2
    return left + zoom * x, top + zoom * y


def drag(page: Page, *points: tuple[float, float]) -> None:
    page.mouse.move(*on_screen(page, *points[0]))
    page.mouse.down()
    for one in points[1:]:
        page.mouse.move(*on_screen(page, *one), steps=5)
    page.mouse.up()


def saved(served: Served, inspection: str) -> tuple[LabelV1, npt.NDArray[np.bool_]]:
    """The label that waits for Kafka, and the mask that lies in the store."""
    label = next(one for one in reversed(sent(served[1])[0]) if one.inspection == inspection)
    mask = mask_of(label, "v1")
    assert mask is not None
    return label, read_mask(Path(mask.uri.removeprefix("file://")).read_bytes(), WIDTH, HEIGHT)


@pytest.mark.parametrize(("scheme", "name"), [("light", "ada"), ("dark", "bob")])
def test_a_mask_is_painted_by_mouse_over_the_proposal_undone_drawn_as_a_polygon_and_saved(
    browser: Browser, served: Served, scheme: str, name: str
) -> None:
    with person(browser, served, name, color_scheme=scheme) as page:
        inspection = to_paint(page)
        expect(page.locator("#mask[data-measured]")).to_be_attached(timeout=20_000)
        assert "Proposed" in page.locator("#said").inner_text()
        proposed = sized(page)
        assert proposed[0] == pytest.approx(12.4, abs=1)
        assert faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 820
        done(page, lambda: drag(page, (400, 100), (500, 100)))
        painted = sized(page)
        assert painted[1] == pytest.approx(proposed[1] + 15 * 100 / 100 + np.pi * 7.5**2 / 100, rel=0.05)
        done(page, lambda: page.keyboard.press("z"))
        assert sized(page) == proposed
        done(page, lambda: page.keyboard.press("x"))
        assert page.locator("#size").inner_text() == "Nothing is painted yet."
        page.keyboard.press("s")
        expect(page.locator("#said")).to_contain_text("nothing to save")
        page.keyboard.press("p")
        for corner in ((100, 300), (300, 300), (300, 400), (100, 400)):
            page.mouse.click(*on_screen(page, *corner))
        done(page, lambda: page.keyboard.press("Enter"))
        assert sized(page)[1] == pytest.approx(200, rel=0.02)
        assert page.locator("#size .verdict").inner_text() == "scrap"
        for key in ("e", "b"):
            page.keyboard.press(key)
        done(page, lambda: drag(page, (200, 290), (200, 410)))
        assert "2 regions" in page.locator("#size").inner_text()
        assert faults(page) == []
        page.keyboard.press("s")
        page.wait_for_url("**/queue?done=mask")
        expect(page.locator("#said")).to_have_text("The mask is saved.")
    label, mask = saved(served, inspection)
    assert (label.who, label.label, label.answer) == (name, "scratch", "defect")
    rows, columns = np.nonzero(mask)
    assert (columns.min(), columns.max() + 1) == pytest.approx((100, 300), abs=2)
    assert (rows.min(), rows.max() + 1) == pytest.approx((300, 400), abs=2)
    assert not mask[300:400, 195:205].any()
    assert mask.sum() == pytest.approx((200 - 15) * 100, rel=0.03)


def test_a_mask_is_painted_and_saved_with_keys_alone(browser: Browser, served: Served) -> None:
    with person(browser, served, "eve") as page:
        inspection = to_paint(page)
        assert page.evaluate("document.activeElement.id") == "canvas"
        page.keyboard.press("x")
        for _ in range(6):
            page.keyboard.press("Shift+ArrowRight")
        page.keyboard.down(" ")
        for _ in range(4):
            page.keyboard.press("Shift+ArrowDown")
        done(page, lambda: page.keyboard.up(" "))
        assert sized(page)[0] == pytest.approx(5.5, abs=0.15)  # 40 px and a brush of 15
        page.keyboard.press("p")
        corners = (("ArrowLeft", 5), ("ArrowUp", 3), ("ArrowLeft", 5))
        page.keyboard.press(" ")
        for arrow, times in corners:
            for _ in range(times):
                page.keyboard.press(f"Shift+{arrow}")
            page.keyboard.press(" ")
        page.keyboard.press("Backspace")
        done(page, lambda: page.keyboard.press("Enter"))
        while page.evaluate("document.activeElement.dataset.key") != "s":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/queue?done=mask")
    _, mask = saved(served, inspection)
    assert mask[240:280, WIDTH // 2 + 60].all()
    corner = (WIDTH // 2 + 60, HEIGHT // 2 + 40)
    triangle = mask[corner[1] - 30 : corner[1], corner[0] - 50 : corner[0]]
    assert triangle.sum() >= 50 * 30 / 2 * 0.9
    assert mask.sum() < 60 * 15 + 50 * 30


def test_a_finger_paints_and_a_wheel_enlarges_where_it_is(browser: Browser, served: Served) -> None:
    with person(browser, served, "mia", has_touch=True) as page:
        inspection = to_paint(page)
        done(page, lambda: page.keyboard.press("x"))
        x, y = on_screen(page, 480, 120)
        page.mouse.move(x, y)
        for _ in range(3):
            page.mouse.wheel(0, -100)
        expect(page.locator("#where")).to_contain_text("480, 120")
        done(page, lambda: page.touchscreen.tap(x, y))
        assert sized(page)[0] == pytest.approx(1.5, abs=0.15)
        page.keyboard.press("s")
        page.wait_for_url("**/queue?done=mask")
    _, mask = saved(served, inspection)
    rows, columns = np.nonzero(mask)
    assert (columns.mean(), rows.mean()) == pytest.approx((480, 120), abs=1.5)


def test_another_tab_comes_too_late_what_it_painted_stays_and_the_inspection_shows_the_saved_one(
    browser: Browser, served: Served
) -> None:
    with person(browser, served, "tom", viewport={"width": 1440, "height": 900}) as page:
        inspection = to_paint(page)
        other = page.context.new_page()
        other.goto(page.url)
        expect(other.locator("#mask[data-ready]")).to_be_attached(timeout=30_000)
        page.keyboard.press("s")
        page.wait_for_url("**/queue?done=mask")
        done(other, lambda: drag(other, (400, 100), (500, 100)))
        size = sized(other)
        other.keyboard.press("s")
        expect(other.locator("#said")).to_contain_text("another tab")
        assert sized(other) == size
        other.on("dialog", lambda dialog: dialog.accept())
        other.goto(f"/inspection?id={inspection}")
        expect(other.locator("svg .painted")).to_be_attached()
        assert faults(other) == []
        other.get_by_label(re.compile("Painted by tom")).uncheck()
        expect(other.locator("svg .painted")).to_be_hidden()
        other.get_by_role("link", name="Paint its mask again").click()
        expect(other.locator("#mask[data-ready]")).to_be_attached(timeout=30_000)
        expect(other.locator("#said")).to_have_text("Your mask, as it was saved.")
    _, mask = saved(served, inspection)
    assert (mask & truth()).sum() / (mask | truth()).sum() > 0.7
