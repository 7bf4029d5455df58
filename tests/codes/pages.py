"""The pictures of the test page for the documents.

.venv/bin/python -m tests.codes.pages
"""

from __future__ import annotations

from PIL import Image

from appliance.formats import measuring_page, printer_profiles, slip_bitmap
from tests.pictures import FOLDER


def measuring_pages() -> dict[str, Image.Image]:
    return {
        "test-page-80": measuring_page.draw(printer_profiles.find("TM-T20III"), 80),
        "test-page-58": measuring_page.draw(printer_profiles.find("generic-58"), 58),
    }


if __name__ == "__main__":
    for name, page in measuring_pages().items():
        (FOLDER / f"{name}.png").write_bytes(slip_bitmap.png(page))
