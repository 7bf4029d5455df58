"""The site's logo: a PNG file as black dots, bounded in every direction, as somebody else drew it."""

from __future__ import annotations

import io

from PIL import Image

from appliance.errors import SlipwayError

FILE_BYTES_MAX = 1 << 20
PIXELS_MAX = 4_000_000  # decoded at most; a logo of 2000 by 2000 is more than a printer can show
IHDR_SIZE = (16, 20)  # offsets of width and height in a PNG file
ROWS_SHARE = 0.25  # of the paper's width: the code stays what one sees first
GREY = range(48, 208)
DITHER_FROM = 0.12  # of the pixels grey: a photograph or a gradient, not soft edges


class LogoError(SlipwayError):
    code = "logo_unusable"
    hint = "Set [site] logo_file to a PNG file of at most 1 MB and 4 million pixels, best black on white."


def check(data: bytes) -> None:
    """LogoError unless `data` can go onto a slip."""
    logo(data, 320)


def logo(data: bytes, width: int) -> Image.Image:
    """Scaled down to fit `width` dots and a quarter of that in height; never enlarged. Mode "1", black is 0."""
    grey = _on_white(_decoded(data))
    grey.thumbnail((width, max(1, int(width * ROWS_SHARE))), Image.Resampling.LANCZOS)
    counts = grey.histogram()
    mixed = sum(counts[level] for level in GREY) / (grey.width * grey.height)
    if mixed >= DITHER_FROM:
        return grey.convert("1", dither=Image.Dither.FLOYDSTEINBERG)
    return grey.point(lambda level: 255 if level >= 128 else 0).convert("1", dither=Image.Dither.NONE)


def _decoded(data: bytes) -> Image.Image:
    if len(data) > FILE_BYTES_MAX:
        raise LogoError(f"the logo file has {len(data)} bytes")
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in IHDR_SIZE)  # before anything is decoded
    if width * height > PIXELS_MAX:
        raise LogoError(f"the logo has {width} by {height} pixels")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            return picture.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:
        raise LogoError("the logo file is not a PNG picture that can be read") from error


def _on_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("L")
