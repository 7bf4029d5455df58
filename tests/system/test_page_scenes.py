"""The page in a browser, against the page's own fake vault: what it says of a share that is not as it should be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.harness import Program, free_port
from tests.system.phone import Phone, phone

VIEWER = Path(__file__).resolve().parents[2] / "viewer"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Links by name."""
    command: list[str | Path] = [
        VIEWER / "node_modules/.bin/vite",
        "preview",
        VIEWER,
        "--config",
        VIEWER / "dev/vite.config.ts",
    ]
    program = Program([*command, "--port", str(free_port())], tmp_path_factory.mktemp("vault") / "fake.log")
    try:
        program.said(r"locked\s+http")
        yield dict(re.findall(r"(\w+)\t(http://\S+)", program.log.read_text()))
    finally:
        program.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Phone]:
    with phone() as one:
        yield one


def opened(browser: Phone, link: str) -> None:
    browser.open(link)
    browser.find("factor-submit").click()
    browser.find("series-item")


def test_missing_images_are_counted_and_the_exact_sentence_is_there_for_a_doctor(
    browser: Phone, scenes: dict[str, str]
) -> None:
    opened(browser, scenes["missing"])
    assert re.search(r"\n(\d+) of (\d+) images are here\. 2 have not arrived\.\n", browser.text())
    assert "ask the imaging department" in browser.text()
    browser.driver.find_element("tag name", "summary").click()
    assert re.fullmatch(r"\d+ of \d+ images, checked with the PACS; 2 missing", browser.find("verdict").text)


def test_whoever_comes_back_reads_when_the_last_images_came(browser: Phone, scenes: dict[str, str]) -> None:
    opened(browser, scenes["missing"])
    assert re.search(r"\nLast images added on .*20\d\d", browser.text())


def test_images_and_a_report_that_come_late_are_marked_in_the_list(browser: Phone, scenes: dict[str, str]) -> None:
    opened(browser, scenes["late"])
    browser.find("news-show", within_s=40)
    assert browser.find("news-text").text == "1 new image, 1 new document and 2 new files have arrived"
    marks = [mark.text for mark in browser.all("new-mark") if mark.is_displayed()]
    assert sorted(marks) == ["1 new", "New", "New", "New"]
    browser.find("news-later").click()
    assert not any(one.is_displayed() for one in browser.all("news-show"))
    assert [mark.text for mark in browser.all("new-mark") if mark.is_displayed()] == marks
    assert browser.complaints() == []
