"""Somebody else's picture."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from appliance.formats.slip_logo import FILE_BYTES_MAX, LogoError, check, logo
from tests.pictures import sample_logo


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def share_of_black(picture: Image.Image) -> float:
    return float((~np.array(picture)).mean())


def test_a_logo_fits_the_paper_and_takes_a_quarter_of_its_width_at_most():
    picture = logo(sample_logo(), 496)
    assert picture.mode == "1"
    assert picture.width <= 496
    assert picture.height <= 124


def test_a_small_logo_is_not_enlarged():
    assert logo(png(Image.new("L", (30, 20), 0)), 496).size == (30, 20)


def test_what_is_transparent_is_white():
    assert share_of_black(logo(png(Image.new("RGBA", (40, 40), (0, 0, 0, 0))), 496)) == 0


def test_a_gradient_is_dithered_and_a_drawing_is_not():
    gradient = Image.linear_gradient("L").resize((200, 200))
    assert 0.3 < share_of_black(logo(png(gradient), 496)) < 0.7
    rows = np.array(logo(png(gradient), 496))
    assert all(0 < (~rows[at]).mean() < 1 for at in range(30, 90))
    flat = Image.new("L", (200, 200), 255)
    flat.paste(90, (50, 50, 150, 150))
    assert (~np.array(logo(png(flat), 496))).sum() in range(1, 160 * 160)


def huge(width: int, height: int) -> bytes:
    """A PNG whose header promises more than it holds."""
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    chunk = (13).to_bytes(4, "big") + head + zlib.crc32(head).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunk


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"GIF89a" + b"\0" * 30,
        sample_logo()[:200],
        huge(60000, 60000),
        png(Image.new("1", (2001, 2001))),  # few bytes, many pixels
        huge(0, 0),
        b"\x89PNG\r\n\x1a\n" + b"\0" * FILE_BYTES_MAX,
    ],
)
def test_what_is_no_logo_is_refused_with_a_hint(data):
    with pytest.raises(LogoError) as caught:
        check(data)
    assert "PNG" in caught.value.hint
