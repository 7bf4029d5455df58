"""A number as Code 128 (ISO/IEC 15417) of whole printer dots: what a hospital's own scanners read off a slip.

Never a link: what a phone could take for one is not coded, so that the patient's code stays the only one that a
phone's camera makes something of.
"""

from __future__ import annotations

import re

from PIL import Image

QUIET_MODULES = 10  # on both sides
FINEST_DOTS = 2  # 0.25 mm a module at 203 dpi: as fine as label printers of this kind print it
COARSEST_DOTS = 3
START_B, START_C, TO_C, TO_B = 104, 105, 99, 100
STARTS = {"B": START_B, "C": START_C}
CHECK_MODULUS = 103
STOP = "2331112"
WHITE, BLACK = 1, 0

# Without a colon, and a dot only in numbers (UIDs): then it is neither an address nor anything else that phones open.
_CODED = re.compile(r"[0-9A-Za-z /+$%^=*_&#()-]+|[0-9.]+")

# Widths of bar, gap, bar, gap, bar, gap in modules, by value; together 11.
_WIDTHS = re.findall(
    "[1-4]{6}",
    "212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222123122"
    "123221223211221132221231213212223112312131311222321122321221312212322112322211212123212321232121111323"
    "131123131321112313132113132311211313231113231311112133112331132131113123113321133121313121211331231131"
    "213113213311213131311123311321331121312113312311332111314111221411431111111224111422121124121421141122"
    "141221112214112412122114122411142112142211241211221114413111241112134111111242121142121241114212124112"
    "124211411212421112421211212141214121412121111143111341131141114113114311411113411311113141114131311141"
    "411131211412211214211232",
)


def bars(value: str, dots: int, height: int) -> Image.Image | None:
    """With the white that it needs on both sides; None for a value that cannot be coded, or is too long for `dots`."""
    if not _CODED.fullmatch(value):
        return None
    widths = [int(width) for width in "".join(_WIDTHS[code] for code in _checked(_codes(value))) + STOP]
    modules = sum(widths) + 2 * QUIET_MODULES
    scale = min(COARSEST_DOTS, dots // modules)
    if scale < FINEST_DOTS:
        return None
    picture = Image.new("1", (modules * scale, height), WHITE)
    at = QUIET_MODULES
    for number, width in enumerate(widths):
        if number % 2 == 0:
            picture.paste(BLACK, (at * scale, 0, (at + width) * scale, height))
        at += width
    return picture


def _checked(codes: list[int]) -> list[int]:
    return [*codes, (codes[0] + sum(place * code for place, code in enumerate(codes))) % CHECK_MODULUS]


def _codes(value: str) -> list[int]:
    """The shortest way through sets B (one character a symbol) and C (two digits a symbol)."""
    ways: list[dict[str, list[int]]] = [{} for _ in range(len(value) + 1)]
    ways[0] = {name: [start] for name, start in STARTS.items()}
    for place in range(len(value) + 1):
        here = ways[place]
        for name, other, switch in (("B", "C", TO_B), ("C", "B", TO_C)):
            if other in here and (name not in here or len(here[name]) > len(here[other]) + 1):
                here[name] = [*here[other], switch]
        if place < len(value) and "B" in here:
            _keep(ways[place + 1], "B", [*here["B"], ord(value[place]) - 32])
        pair = value[place : place + 2]
        if "C" in here and len(pair) == 2 and pair.isdigit():
            _keep(ways[place + 2], "C", [*here["C"], int(pair)])
    return min(ways[-1].values(), key=len)


def _keep(ways: dict[str, list[int]], name: str, codes: list[int]) -> None:
    if name not in ways or len(codes) < len(ways[name]):
        ways[name] = codes
