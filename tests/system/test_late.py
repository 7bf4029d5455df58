"""Images that come after all seemed to be here: the same slip, the same page, no reload, no picture torn away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from appliance.formats import link as links
from tests import escpos_reader
from tests.system.harness import Box, dcmsend, eventually, loop
from tests.system.phone import Phone, phone
from tests.system.study import Person, ct_series
from tests.system.test_loop import uid_of

PERSON = Person()
LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"  # as when the person comes back to the page


@dataclass
class Visit:
    """A page that has been open since all seemed to be here."""

    box: Box
    browser: Phone
    study: list[Path]

    def settled(self, count: int) -> None:
        self.browser.says(f"\n{count} images are here. No more have come")

    def send(self, *paths: Path) -> None:
        dcmsend(self.box.port, paths)

    def news(self, words: str) -> None:
        """The page asks seldom by now; somebody who looks at it hurries it."""

        def look() -> bool:
            self.browser.driver.execute_script(LOOK_AGAIN)
            return any(words in said.text for said in self.browser.all("news-text"))

        eventually(look, 30, f"{words!r} on the page")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return ct_series(tmp_path_factory.mktemp("study"), 5, PERSON)


@pytest.fixture
def visit(tmp_path: Path, study: list[Path]) -> Iterator[Visit]:
    with loop(tmp_path) as (_, box), phone() as browser:
        dcmsend(box.port, study[:3])
        slip = eventually(lambda: next(iter((tmp_path / "slips").glob("*.bin")), None), 30, "a slip")
        link = escpos_reader.decode_qr(escpos_reader.slips(slip.read_bytes())[0])
        assert links.parse(link)
        browser.open(link)
        browser.prove(PERSON.birth_date)
        one = Visit(box, browser, study)
        one.settled(3)
        browser.driver.execute_script("window.sameVisit = true")
        yield one
        assert browser.driver.execute_script("return window.sameVisit"), "the page was loaded anew"
        assert browser.complaints() == []
        assert len(list((tmp_path / "slips").glob("*.bin"))) == 1, "late images print no second slip"


def test_late_images_are_told_over_the_picture_and_leave_it_alone(visit: Visit) -> None:
    browser = visit.browser
    browser.find("series-item").click()
    browser.find("next-image").click()
    before = browser.canvas_of(uid_of(visit.study[1]))
    visit.send(*visit.study[3:])
    visit.news("2 new images have arrived")
    assert browser.find("position").text == "2 / 5"
    assert np.array_equal(browser.canvas_of(uid_of(visit.study[1])), before)
    browser.find("news-show").click()
    browser.canvas_of(uid_of(visit.study[3]))
    assert not any(one.is_displayed() for one in browser.all("news-show"))


def test_a_further_study_is_told_with_its_name_and_the_button_leads_to_it(visit: Visit, tmp_path: Path) -> None:
    browser = visit.browser
    browser.find("series-item").click()
    browser.canvas_of(uid_of(visit.study[0]))
    visit.send(*ct_series(tmp_path / "further", 2, PERSON, study=2))
    visit.news("2 new images have arrived: CT head")
    browser.find("news-show").click()
    eventually(lambda: len(browser.all("series-item")) == 2, 10, "both studies")
    marked = [bool(row.find_elements("css selector", ".new:not([hidden])")) for row in browser.all("series-item")]
    assert marked == [False, True]
    focused = browser.driver.switch_to.active_element
    assert focused.get_attribute("data-series-uid") == browser.all("series-item")[1].get_attribute("data-series-uid")
    visit.settled(5)
    focused.click()
    browser.find("back").click()
    assert not any(mark.is_displayed() for mark in browser.all("new-mark")), "what was looked at is not new any more"
