"""What becomes of a slip between the printer's dots and a phone's picture of it. One picture dot is one printer dot.

Not a decoder and not a test. Every step takes a picture of grey levels and gives another; noise is seeded, so a picture
that cannot be read can be made again.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Wear = Callable[[Image.Image], Image.Image]

BLUR_DOTS = 2.0  # standard deviation: 0.25 mm, a phone held too near
SKEW_DEGREES = 3
FADED_BLACK, FADED_WHITE = 150, 226  # 30 % of the contrast is left
BOTH_READ_NOISE = 10  # of 255, standard deviation
GRAINY = 30
WHITE = 255


def untouched(picture: Image.Image) -> Image.Image:
    return picture.convert("L")


def blurred(picture: Image.Image, dots: float = BLUR_DOTS) -> Image.Image:
    return untouched(picture).filter(ImageFilter.GaussianBlur(dots))


def noisy(picture: Image.Image, level: float = BOTH_READ_NOISE) -> Image.Image:
    grey = np.asarray(untouched(picture), dtype=float)
    grain = np.random.default_rng(20).normal(0, level, grey.shape)
    return Image.fromarray(np.clip(grey + grain, 0, WHITE).astype(np.uint8))


def grainy(picture: Image.Image) -> Image.Image:
    return noisy(picture, GRAINY)


def faded(picture: Image.Image) -> Image.Image:
    return untouched(picture).point(lambda level: FADED_BLACK + level * (FADED_WHITE - FADED_BLACK) // WHITE)


def eroded(picture: Image.Image) -> Image.Image:
    """A cold head: each dark region loses a dot all round."""
    return untouched(picture).filter(ImageFilter.MaxFilter(3))


def dilated(picture: Image.Image) -> Image.Image:
    """A hot head: each dark region gains a dot all round."""
    return untouched(picture).filter(ImageFilter.MinFilter(3))


def turned(picture: Image.Image, degrees: float = SKEW_DEGREES) -> Image.Image:
    grey = untouched(picture)
    return grey.rotate(degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=WHITE)


def sheared(picture: Image.Image) -> Image.Image:
    """The paper is drawn to one side while it is printed."""
    slope = math.tan(math.radians(SKEW_DEGREES))
    size = picture.width + round(slope * picture.height), picture.height
    matrix = (1, -slope, 0, 0, 1, 0)
    return untouched(picture).transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=WHITE
    )


def dead_element(picture: Image.Image) -> Image.Image:
    """One of the head's elements is burnt out: a white line along the whole slip, through the code."""
    grey = untouched(picture)
    grey.paste(WHITE, (picture.width * 2 // 5, 0, picture.width * 2 // 5 + 1, picture.height))
    return grey


def tilted(picture: Image.Image, amount: float = 0.12) -> Image.Image:
    """The phone is not held parallel to the slip: what is farther away is smaller."""
    grey = untouched(picture)
    width, height = grey.size
    seen = [
        (width * amount, height * amount / 2),
        (width * (1 - amount / 2), 0),
        (width, height),
        (width * amount / 3, height * (1 - amount / 3)),
    ]
    rows, wanted = [], []
    for (x, y), (u, v) in zip(seen, [(0, 0), (width, 0), (width, height), (0, height)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    matrix = tuple(np.linalg.solve(np.array(rows, dtype=float), np.array(wanted, dtype=float)))
    return grey.transform(grey.size, Image.Transform.PERSPECTIVE, matrix, Image.Resampling.BILINEAR, fillcolor=WHITE)


def shaded(picture: Image.Image) -> Image.Image:
    """The light comes from one side, and the hand throws a shadow."""
    grey = np.asarray(untouched(picture), dtype=float)
    height, width = grey.shape
    light = np.linspace(0.45, 1, width)[None, :] * np.linspace(0.8, 1, height)[:, None]
    return Image.fromarray((grey * light).astype(np.uint8))


def photographed(picture: Image.Image, degrees: float = SKEW_DEGREES, noise: float = 4) -> Image.Image:
    """All of it at once, as a phone in a hand sees it."""
    return noisy(blurred(shaded(tilted(turned(picture, degrees))), 1), noise)


def in_turn(*wears: Wear) -> Wear:
    def worn(picture: Image.Image) -> Image.Image:
        for wear in wears:
            picture = wear(picture)
        return picture

    return worn


ONE_BY_ONE: dict[str, Wear] = {
    "untouched": untouched,
    "blur": blurred,
    "noise": noisy,
    "30 % contrast": faded,
    "erosion": eroded,
    "dilation": dilated,
    "3 degrees": turned,
    "3 degrees the other way": lambda picture: turned(picture, -SKEW_DEGREES),
    "3 degrees of shear": sheared,
    "a dead element": dead_element,
}
TOGETHER: dict[str, Wear] = {
    "cold head, faded, skewed": in_turn(eroded, faded, turned),
    "hot head, faded, skewed": in_turn(dilated, faded, turned),
    "cold head, dead element, blurred": in_turn(eroded, dead_element, lambda picture: blurred(picture, 1.2)),
    "hot head, dead element, blurred": in_turn(dilated, dead_element, lambda picture: blurred(picture, 1.2)),
    "a phone": photographed,
    "a phone from the side": lambda picture: photographed(picture, 37),
    "a phone upside down": lambda picture: photographed(picture, 171),
    "a phone, cold head": in_turn(eroded, photographed),
    "a phone, hot head": in_turn(dilated, photographed),
    "a phone, old paper": in_turn(faded, lambda picture: photographed(picture, noise=2)),
    "a phone, old paper, cold head": in_turn(eroded, faded, lambda picture: photographed(picture, noise=2)),
    "a phone, old paper, hot head": in_turn(dilated, faded, lambda picture: photographed(picture, noise=2)),
}
