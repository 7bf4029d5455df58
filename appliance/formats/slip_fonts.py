"""Which font draws which character of a slip. Fonts are Debian's, opened when first needed.

Not how text is ordered, joined or broken; that is `slip_shaping`. docs/decisions/0006-slip.md says why these fonts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import uharfbuzz
from PIL import ImageFont, features

from appliance.errors import SlipwayError

FOLDER = Path("/usr/share/fonts")
DEJAVU_PACKAGE, NOTO_PACKAGE, CJK_PACKAGE = "fonts-dejavu-core", "fonts-noto-core", "fonts-noto-cjk"

# Written poorly by DejaVu, which has some of them: Hebrew to Arabic Extended, and their presentation forms.
RIGHT_TO_LEFT = (range(0x0590, 0x0900), range(0xFB1D, 0xFE00), range(0xFE70, 0xFEFF))
LATIN_END = 0x0250


class FontMissingError(SlipwayError):
    """A font, or the library that puts text into order, is not installed."""

    code = "font_missing"


@dataclass(frozen=True)
class Family:
    regular: str  # below FOLDER
    bold: str
    package: str
    index: int = 0  # within a collection
    scale: float = 1.0  # so that all scripts look equally large beside each other
    thin_strokes: bool = False  # thicken them in small type; Han characters would clog
    leaves_right_to_left: bool = False


def _noto(script: str, scale: float = 1.0, *, thin_strokes: bool = False, bold: bool = True) -> Family:
    regular = f"truetype/noto/NotoSans{script}-Regular.ttf"
    return Family(
        regular, regular.replace("Regular", "Bold") if bold else regular, NOTO_PACKAGE, 0, scale, thin_strokes
    )


def _cjk(index: int) -> Family:
    stem = "opentype/noto/NotoSansCJK"
    return Family(f"{stem}-Regular.ttc", f"{stem}-Bold.ttc", CJK_PACKAGE, index, scale=1.05)


DEJAVU = Family(
    "truetype/dejavu/DejaVuSans.ttf", "truetype/dejavu/DejaVuSans-Bold.ttf", DEJAVU_PACKAGE, leaves_right_to_left=True
)
ARABIC = _noto("Arabic", 1.15, thin_strokes=True)
HEBREW = _noto("Hebrew", 1.1, thin_strokes=True)
DEVANAGARI = _noto("Devanagari", 1.1, thin_strokes=True)
BENGALI = _noto("Bengali", 1.1, thin_strokes=True)
JAPANESE, KOREAN, SIMPLIFIED, TRADITIONAL = (_cjk(index) for index in range(4))

# Han characters are drawn as the language writes them; a name on a slip in another language, as mainland China does.
PRIMARY = {
    "ar": ARABIC, "fa": ARABIC, "ur": ARABIC, "he": HEBREW, "hi": DEVANAGARI, "bn": BENGALI,
    "ja": JAPANESE, "ko": KOREAN, "zh_Hans": SIMPLIFIED, "zh_Hant": TRADITIONAL,
}  # fmt: skip
OTHERS = tuple(
    _noto(script)
    for script in (
        "Thai", "Armenian", "Georgian", "Ethiopic", "Tamil", "Telugu", "Gujarati", "Gurmukhi", "Kannada", "Malayalam",
        "Oriya", "Sinhala", "Khmer", "Lao", "Myanmar", "",
    )
) + tuple(_noto(script, bold=False) for script in ("Math", "Symbols2"))  # fmt: skip
FALLBACKS = (DEJAVU, ARABIC, HEBREW, DEVANAGARI, BENGALI, SIMPLIFIED, *OTHERS)


def primary(language: str) -> Family:
    """Of a slip in this language."""
    return PRIMARY.get(language, DEJAVU)


@lru_cache(maxsize=4096)
def family_for(char: str, language: str) -> Family | None:
    """None when no font has the character. FontMissingError when a font on the way there is not installed."""
    first = primary(language)
    if ord(char) < LATIN_END and first.package != CJK_PACKAGE:
        first = DEJAVU  # letters and digits of one number from one font
    for family in (first, *FALLBACKS):
        if has(family, char):
            return family
    return None


def has(family: Family, char: str) -> bool:
    code = ord(char)
    if family.leaves_right_to_left and any(code in block for block in RIGHT_TO_LEFT):
        return False
    return code in characters(family)


@lru_cache(maxsize=64)
def characters(family: Family) -> uharfbuzz.Set:
    return uharfbuzz.Face(blob(family), family.index).unicodes


def blob(family: Family) -> uharfbuzz.Blob:
    """The file, mapped into memory."""
    return uharfbuzz.Blob.from_file_path(str(_installed(family, family.regular)))


def check() -> None:
    """FontMissingError unless all is there that a slip in any of our languages may want."""
    for family in {*FALLBACKS, *PRIMARY.values()}:
        for bold in (False, True):
            font(family, 20, bold=bold)


@lru_cache(maxsize=128)
def font(family: Family, size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """FontMissingError when it, or the library that orders right-to-left text, is not installed."""
    if not features.check("fribidi"):  # loaded by Pillow at run time; without it, Arabic would quietly come out broken
        raise FontMissingError("the library FriBidi is missing", hint="Install the Debian package libfribidi0.")
    path = _installed(family, family.bold if bold else family.regular)
    try:
        return ImageFont.FreeTypeFont(
            path, round(size * family.scale), family.index, layout_engine=ImageFont.Layout.RAQM
        )
    except OSError as error:
        raise _missing(path, family) from error


def _installed(family: Family, name: str) -> Path:
    path = FOLDER / name
    if not path.is_file():
        raise _missing(path, family)
    return path


def _missing(path: Path, family: Family) -> FontMissingError:
    return FontMissingError(f"the slip's font is missing: {path}", hint=f"Install the Debian package {family.package}.")
