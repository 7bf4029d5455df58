"""A phone: headless Chromium at a phone's size, driven through chromedriver, looking at the patient's page."""

from __future__ import annotations

import base64
import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from tests.system.harness import eventually

WIDTH, HEIGHT = 390, 844  # CSS pixels of a common phone
WAIT_S = 30.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# The canvas's bitmap is the image itself: one sample of grey a pixel is enough to compare.
READ_CANVAS = """
const canvas = document.querySelector(arguments[0]);
if (!canvas) return null;
const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
let text = '';
for (let i = 0; i < data.length; i += 4) text += String.fromCharCode(data[i], data[i + 1], data[i + 2]);
return [canvas.width, canvas.height, btoa(text)];
"""


@dataclass
class Phone:
    driver: webdriver.Chrome

    def open(self, link: str) -> None:
        self.driver.get("about:blank")  # the page strips its fragment: a second link must load it anew
        self.driver.get(link)

    def all(self, testid: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, f'[data-testid="{testid}"]')

    def find(self, testid: str, within_s: float = WAIT_S) -> WebElement:
        """The first visible element of this name."""

        def look() -> WebElement | None:
            with contextlib.suppress(StaleElementReferenceException):
                return next((element for element in self.all(testid) if element.is_displayed()), None)
            return None

        return eventually(look, within_s, f"{testid} on the page; it says: {self.text()[:300]}")

    def text(self) -> str:
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def says(self, words: str, within_s: float = WAIT_S) -> None:
        eventually(lambda: words.lower() in self.text().lower(), within_s, f"{words!r}; it says: {self.text()[:300]}")

    def prove(self, birth_date: str) -> None:
        """Type a birth date, YYYYMMDD, and go on."""
        for testid, value in (("factor-day", birth_date[6:]), ("factor-year", birth_date[:4])):
            field = self.find(testid)
            field.clear()
            field.send_keys(value.lstrip("0"))
        month = self.find("factor-month")
        Select(month).select_by_index(int(birth_date[4:6]))
        self.find("factor-submit").click()

    def canvas_of(self, uid: str, frame: int = 0) -> npt.NDArray[np.uint8]:
        """What the canvas shows of this instance: rows x columns x RGB."""
        selector = f'[data-testid="viewer-canvas"][data-uid="{uid}"][data-frame="{frame}"][data-state="drawn"]'
        width, height, text = eventually(
            lambda: self.driver.execute_script(READ_CANVAS, selector), WAIT_S, f"{uid} drawn"
        )
        data = np.frombuffer(base64.b64decode(text), np.uint8)
        return data.reshape(height, width, 3)

    def picture(self, path: Path) -> None:
        self.driver.save_screenshot(str(path))

    def complaints(self) -> list[str]:
        """What the console holds at SEVERE: errors and violations of the page's policy."""
        log = self.driver.get_log("browser")
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]


@contextlib.contextmanager
def phone() -> Iterator[Phone]:
    """A new browser with an empty profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(prefix="slipway-phone-") as profile:
        options.add_argument(f"--user-data-dir={profile}")
        options.add_experimental_option(
            "mobileEmulation", {"deviceMetrics": {"width": WIDTH, "height": HEIGHT, "pixelRatio": 2, "touch": True}}
        )
        driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
        try:
            yield Phone(driver)
        finally:
            driver.quit()
