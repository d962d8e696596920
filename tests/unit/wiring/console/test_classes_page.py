"""Classes: counts that follow the acts, and the acts of engineers; who comes second is told, and nothing is rewritten."""

from __future__ import annotations

import re
from html import unescape

import pytest
from httpx2 import Response

from schemas.act import ActV1
from schemas.taxonomy import TaxonomyV1
from tests.helpers.classes import arrive, label, labels, pointers, proposal, proposed, put
from tests.helpers.console import Browser, Desk, rows
from tests.helpers.judgement import PRODUCT
from tests.unit.wiring.console.test_bad_input import LONG, MARKUP

WHY = {"product": PRODUCT, "why": "two kinds"}


@pytest.fixture
def engineer(desk: Desk) -> Browser:
    put(desk, pointers())
    return desk.logged_in("engineer")


def field(page: Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, page.text[:3000]
    return unescape(found[1])


def classes(browser: Browser) -> Response:
    found = browser.get("/classes", product=PRODUCT)
    assert found.status_code == 200
    return found


def act(browser: Browser, path: str, version: str | None = None, **form: str) -> Response:
    """With the version of the page as it is now, unless one is given."""
    now = field(classes(browser), "version") if version is None else version
    return browser.post(f"/classes/{path}", {**WHY, "version": now, **form}, page="/lines")


def taxonomy(desk: Desk) -> TaxonomyV1:
    found = desk.ports.questions.taxonomy(PRODUCT)
    assert found is not None
    return found.taxonomy  # type: ignore[no-any-return]


def cards(page: Response) -> dict[str, str]:
    """Name of a class -> the text of its card."""
    articles = re.findall(r"<article.*?</article>", page.text, re.S)
    plain = [re.sub(r"<details.*?</details>|<[^>]*>", " ", one, flags=re.S) for one in articles]
    texts = [" ".join(unescape(text).split()) for text in plain]
    names = [unescape(found[1]) for one in articles if (found := re.search(r"<h2[^>]*>(.*?)</h2>", one))]
    return dict(zip(names, texts, strict=True))


def test_before_the_first_act_it_shows_what_the_models_know(desk: Desk, engineer: Browser) -> None:
    page = classes(engineer)
    assert set(cards(page)) == {"dent", "scratch"}
    assert "Nobody has written down the classes" in page.text
    assert "the model knows it" in cards(page)["dent"]
    assert "scrap" in cards(page)["dent"]
    assert engineer.get("/classes").status_code == 200
    assert "0 parts" in cards(page)["dent"]


def test_the_first_act_writes_them_down_and_is_recorded(desk: Desk, engineer: Browser) -> None:
    done = act(engineer, "add", name="Rim chip", description="at the edge")
    assert done.status_code == 303
    page = engineer.get(done.headers["location"])
    assert "Done: Rim chip added" in page.text
    assert "wait for Kafka and the sink" in page.text
    assert set(cards(page)) == {"dent", "scratch", "Rim chip"}
    said = [ActV1.read(record.value or b"") for record in rows(desk) if record.topic == "act.v1"]
    made = [(one.where, one.who, one.why) for one in said if one.act == "taxonomy_in_force"]
    assert made == [(f"current/{PRODUCT}", "engineer-1", "two kinds")] * 2
    arrive(desk)
    assert {one.id: one.name for one in taxonomy(desk).classes} == {"dent": "dent", "scratch": "scratch", "rim-chip": "Rim chip"}
    page = classes(engineer)
    assert "wait for" not in page.text
    assert page.text.index("Rim chip added") < page.text.index("2 classes written down")
    assert "not learned yet" in cards(page)["Rim chip"]


def test_counts_follow_the_acts_and_parts_are_physical(desk: Desk, engineer: Browser) -> None:
    act(engineer, "begin")
    arrive(desk)
    version = field(classes(engineer), "version")
    bad = {"answer": "defect", "taxonomy": version}
    first = label(1, label="dent", serial="S1", lot="L", **bad)
    said = [
        first,
        label(2, label="dent", serial="S1", lot="L", **bad),  # the same part once more
        label(3, label="dent", lot="L", **bad),
        label(4, label="dent", lot="L", **bad),
        label(5, label="dent", **bad),
        label(6, label="scratch", **bad),
        label(7, label="scratch", **bad),
        label(7, label="scratch", withdraws=label(7, label="scratch", **bad).id, **bad),  # corrected
        label(8),
        label(9, answer="defect"),
        label(10, label="dent", answer="defect", taxonomy="f" * 64),
    ]
    put(desk, labels(*said))
    page = classes(engineer)
    assert "3 parts 5 labels; 2 more to the next step" in cards(page)["dent"]
    assert "2 parts 2 labels" in cards(page)["scratch"]
    assert "a defect that nobody has named" in page.text
    assert "a version that does not lead to this one" in page.text
    put(desk, labels(label(6, answer=None, withdraws=said[5].id)))
    assert "1 part 1 label;" in cards(classes(engineer))["scratch"]
    act(engineer, "rename", id="dent", name="Dimple")
    act(engineer, "merge", **{"of-dent": "1", "of-scratch": "1"}, name="Mark")
    merged = cards(classes(engineer))
    assert set(merged) == {"Mark"}
    assert "4 parts 6 labels" in merged["Mark"]
    act(engineer, "split", id="mark", names="Long mark\r\n Short mark\n")
    split = classes(engineer)
    assert "the class was split: these parts need a new look, as Long mark or Short mark" in split.text
    assert "0 parts" in cards(split)["Long mark"]
    arrive(desk)
    assert classes(engineer).text.count("need a new look") == 1
    assert [one.id for one in taxonomy(desk).classes if one.state == "active"] == ["long-mark", "short-mark"]


def test_at_each_step_it_says_what_recall_can_be_shown(desk: Desk, engineer: Browser) -> None:
    act(engineer, "begin")
    arrive(desk)
    version = field(classes(engineer), "version")
    put(desk, labels(*(label(n, answer="defect", label="dent", taxonomy=version, serial=f"S{n}") for n in range(12))))
    steps = re.findall(r"<li( class=\"reached\")?><strong>(\d+)</strong><span>(\S+ %)", classes(engineer).text)[:4]
    assert [(bool(reached), parts, interval) for reached, parts, interval in steps] == [
        (True, "5", "48–100 %"),
        (True, "10", "69–100 %"),
        (False, "20", "83–100 %"),
        (False, "40", "91–100 %"),
    ]


def test_a_stale_form_and_the_second_of_two_engineers_change_nothing(desk: Desk, engineer: Browser) -> None:
    other = desk.logged_in("admin")
    version = field(classes(engineer), "version")
    assert act(engineer, "retire", id="dent").status_code == 303
    waiting = len(rows(desk))
    for browser in (other, engineer):
        late = act(browser, "rename", version, id="dent", name="Dimple")
        assert (late.status_code, "Somebody has changed the classes" in late.text) == (409, True)
        assert set(cards(late)) == {"scratch"}
    for wrong in ("", "0" * 64, MARKUP, LONG):
        assert act(other, "add", wrong, name="x").status_code == 409
    assert len(rows(desk)) == waiting


def test_two_who_act_at_the_same_moment_cannot_both(desk: Desk, engineer: Browser) -> None:
    """Both have read the same version; the database settles who was first."""
    base = taxonomy_on_page(desk, engineer)
    desk.ports.taxonomies.publish([base], who="a", why="w", now=desk.now)
    with pytest.raises(ValueError, match="Somebody else"):
        desk.ports.taxonomies.publish([base], who="b", why="w", now=desk.now)


def taxonomy_on_page(desk: Desk, browser: Browser) -> TaxonomyV1:
    from streams.wiring.console.standing import standing

    found = standing(desk.ports, PRODUCT)
    assert found is not None
    assert found.digest == field(classes(browser), "version")
    return found.taxonomy


@pytest.mark.parametrize("name", [MARKUP, LONG, "", " ", "a\u202eb", "good", "DENT", "\x00"])
def test_names_that_cannot_be(desk: Desk, engineer: Browser, name: str) -> None:
    waiting = len(rows(desk))
    for path, more in (("add", {}), ("rename", {"id": "scratch"}), ("split", {"id": "scratch", "names": f"fine\n{name}"})):
        answer = act(engineer, path, name=name, **more)
        plain = name == MARKUP and path != "split"
        assert answer.status_code == (303 if plain else 400), (path, answer.text[-500:])
        assert "<script>alert" not in answer.text
        if plain:
            assert "<script>alert" not in classes(engineer).text
            assert "&lt;script&gt;" in classes(engineer).text
            return
        assert "Nothing was changed" in answer.text
    assert len(rows(desk)) == waiting


def test_bad_fields_are_told_and_change_nothing(desk: Desk, engineer: Browser) -> None:
    waiting = len(rows(desk))
    assert act(engineer, "add", name="x", why=" ").status_code == 400
    assert act(engineer, "add", name="x", description=LONG).status_code == 400
    assert act(engineer, "add", name="x", product="nothing").status_code == 404
    assert act(engineer, "add", name="x", product=MARKUP).status_code == 404
    for path in ("rename", "split", "retire"):
        for id in ("", "nothing", MARKUP, LONG):
            assert act(engineer, path, id=id, name="x", names="x\ny").status_code == 400, (path, id)
    assert act(engineer, "merge", name="x").status_code == 400
    assert act(engineer, "merge", name="x", **{"of-dent": "1", "of-nothing": "1"}).status_code == 400
    for path in ("accept", "reject"):
        assert act(engineer, path, proposal="f" * 64).status_code == 404
    assert len(rows(desk)) == waiting
    long = act(engineer, "add", name="x", why="y\x00" + LONG)
    assert long.status_code == 303
    (said, *_) = [ActV1.read(record.value or b"") for record in reversed(rows(desk)) if record.topic == "act.v1"]
    assert (len(said.why), "\x00" in said.why) == (200, False)


def test_a_product_that_does_not_exist(engineer: Browser) -> None:
    for name in ("nothing", MARKUP, LONG):
        answer = engineer.get("/classes", product=name)
        assert (answer.status_code, "<script>alert" in answer.text) == (404, False)
        assert len(answer.text) < 5000


@pytest.mark.parametrize("role", ["operator", "reviewer"])
def test_others_look_and_have_no_forms(desk: Desk, engineer: Browser, role: str) -> None:
    page = desk.logged_in(role).get("/classes", product=PRODUCT)  # type: ignore[arg-type]
    assert page.status_code == 200
    assert "/classes/" not in page.text


def test_a_proposed_class_is_accepted_once(desk: Desk, engineer: Browser) -> None:
    act(engineer, "begin")
    arrive(desk)
    said = proposal(field(classes(engineer), "version"))
    other = proposal(said.taxonomy, name="Haze", members=said.members[:3], borderline=())
    put(desk, [proposed(said), proposed(other)])
    page = classes(engineer)
    assert "Proposed: Rim chip" in page.text
    assert "8 parts, 2 of them looked at one by one" in page.text
    assert act(engineer, "accept", said.taxonomy, proposal=said.id).status_code == 303
    assert "it waits for Kafka and the sink" in classes(engineer).text
    assert act(engineer, "accept", proposal=said.id).status_code in (400, 409)
    assert act(engineer, "reject", proposal=other.id).status_code == 303
    assert act(engineer, "accept", proposal=other.id).status_code == 409
    arrive(desk)
    page = classes(engineer)
    assert "Proposed:" not in page.text
    assert "proposal accepted" in page.text
    assert "proposal rejected" in page.text
    fates = {one.id: (one.fate, one.version) for one in desk.ports.questions.proposals(PRODUCT)}
    added = field(page, "version")
    assert fates == {said.id: ("accepted", added), other.id: ("rejected", None)}
    assert taxonomy(desk).acts[-1].into == ("rim-chip",)
    assert act(engineer, "reject", proposal=said.id).status_code == 409
