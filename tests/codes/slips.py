"""Slips of all kinds with random links: two widths of paper and both resolutions, scripts, large print, staff half."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

from PIL import Image

from appliance.formats import slip_bitmap
from appliance.formats.link import Link
from appliance.formats.slip_text import SlipFace, StaffHalf
from tests.pictures import face

PAPERS = [360, 384, 512, 576]  # dots: 58 mm at 180 and 203 dpi, 80 mm at 180 and 203 dpi
STAFF = StaffHalf("en", "12 Jan 2027 · CT")
LOOKS = [("en", False, False), ("ar", True, True), ("ja", False, True), ("hi", True, False), ("ru", False, False)]
ADDRESSES = (12, 20, 26, 33, 41, 60, 90, 150)  # characters of public_url
REAL_ADDRESSES = ADDRESSES[:-2]  # at least 6 dots a module on 58 mm paper


def public_url(characters: int, dice: random.Random) -> str:
    letters = "".join(dice.choice("abcdefghijklmnopqrstuvwxyz0123456789-.") for _ in range(characters - 12))
    return f"https://{letters}.org" if letters else "https://v.uk"


def link(characters: int, dice: random.Random) -> str:
    return Link(public_url(characters, dice), dice.randbytes(16), dice.randbytes(32)).url


@cache
def slips(seed: int, dots: int, addresses: tuple[int, ...] = ADDRESSES) -> list[tuple[str, Image.Image]]:
    """Link and raster of one slip for each length of address; the look goes round."""
    dice = random.Random(seed)
    drawn = []
    for number, characters in enumerate(addresses):
        language, large, staff = LOOKS[(seed + number) % len(LOOKS)]
        said: SlipFace = replace(
            face(language), url=link(characters, dice), large_print=large, staff=STAFF if staff else None
        )
        drawn.append((said.url, slip_bitmap.render(said, dots)))
    return drawn
