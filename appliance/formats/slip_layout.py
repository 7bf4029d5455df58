"""The blocks that slips are made of: each takes the sheet and what to say, and gives a picture as wide as the paper.

Patients' slips, status slips and set-up slips put the same blocks under each other with `Sheet.stack`. Texts come here
cleaned and in the sheet's language.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from appliance.formats.slip_barcode import bars
from appliance.formats.slip_code import symbol
from appliance.formats.slip_lines import unbreakable, wrap
from appliance.formats.slip_logo import logo as dotted_logo
from appliance.formats.slip_shaping import BLACK, WHITE
from appliance.formats.slip_sheet import GRID, Sheet, inverted, pen_on, up

LABEL_SHARE = 0.38  # of a table's width


def heading(sheet: Sheet, text: str) -> Image.Image:
    """As large as lets it stand unbroken on two lines, in the middle; a longer one is smaller, and cut after three."""
    large, small = sheet.type(sheet.sizes.title, bold=True), sheet.type(sheet.sizes.body, bold=True)
    whole = all(large.width(piece) <= sheet.room for piece in unbreakable(text))
    if whole and "".join(wrap(text, sheet.room, large.width, 2)).replace(" ", "") == text.replace(" ", ""):
        return _across(sheet, sheet.text(text, large, sheet.room, 2, centred=True))
    return _across(sheet, sheet.text(text, small, sheet.room, 3, centred=True))


def paragraph(sheet: Sheet, text: str, *, bold: bool = False, centred: bool = False, max_lines: int = 4) -> Image.Image:
    return _across(
        sheet, sheet.text(text, sheet.type(sheet.sizes.body, bold=bold), sheet.room, max_lines, centred=centred)
    )


def poster(sheet: Sheet, text: str) -> Image.Image:
    """A few characters, to be read from afar."""
    return _across(sheet, sheet.text(text, sheet.type(2 * sheet.sizes.title, bold=True), sheet.room, 1, centred=True))


def mark(sheet: Sheet, text: str) -> Image.Image:
    """White on black: what nobody may overlook. "" takes no room."""
    if not text:
        return sheet.blank(0)
    kind = sheet.type(sheet.sizes.body, bold=True)
    width = min(sheet.room, up(kind.width(text) + 6 * GRID))
    words = inverted(sheet.text(text, kind, width - 2 * GRID, 1, centred=True))
    block = sheet.blank(words.height + GRID)
    left = (sheet.dots - width) // 2
    pen_on(block).rounded_rectangle((left, 0, left + width - 1, block.height - 1), GRID, fill=BLACK)
    block.paste(words, (left + GRID, (block.height - words.height) // 2))
    return block


def code(sheet: Sheet, url: str) -> Image.Image:
    """As large as the paper allows. Its quiet zone is part of the block."""
    picture, quiet = symbol(url, sheet.dots)
    block = sheet.blank(picture.height + 2 * quiet)
    block.paste(picture, ((sheet.dots - picture.width) // 2, quiet))
    return block


def barcode(sheet: Sheet, value: str, caption: str, shown: str) -> Image.Image:
    """`caption` above it, `shown` below; without bars where they cannot say it. "" takes no room."""
    if not value:
        return sheet.blank(0)
    label = sheet.type(sheet.sizes.label)
    picture = bars(value, sheet.dots, 2 * sheet.sizes.marker)
    drawn = sheet.blank(picture.height if picture else 0)
    if picture:
        drawn.paste(picture, ((sheet.dots - picture.width) // 2, 0))
    above, below = (_across(sheet, sheet.text(text, label, sheet.room, 2, centred=True)) for text in (caption, shown))
    return sheet.stack([above, drawn, below], gap=GRID)


def logo(sheet: Sheet, data: bytes) -> Image.Image:
    """A PNG file, in the middle. b"" takes no room; LogoError when it cannot be shown."""
    if not data:
        return sheet.blank(0)
    picture = dotted_logo(data, sheet.room)
    block = sheet.blank(picture.height)
    block.paste(picture, ((sheet.dots - picture.width) // 2, 0))
    return block


def steps(sheet: Sheet, numbered: Sequence[tuple[str, str]], icons: Sequence[Image.Image] = ()) -> Image.Image:
    """Number and text of each, with a pictogram between them where there is one."""
    shown = [*icons, *[None] * (len(numbered) - len(icons))]
    rows = [_step(sheet, number, text, icon) for (number, text), icon in zip(numbered, shown, strict=True)]
    return sheet.stack(rows, gap=2 * GRID)


def _step(sheet: Sheet, number: str, text: str, icon: Image.Image | None) -> Image.Image:
    parts = [_disc(sheet, number, sheet.sizes.marker), *([icon] if icon else [])]
    return _led(sheet, parts, text)


def _led(
    sheet: Sheet, parts: Sequence[Image.Image], text: str, *, bold: bool = False, max_lines: int = 5
) -> Image.Image:
    """A text led by small pictures, all on one middle line."""
    start = sheet.sizes.margin + sum(part.width + GRID * 3 // 2 for part in parts)
    width = sheet.dots - sheet.sizes.margin - start
    words = sheet.text(text, sheet.type(sheet.sizes.body, bold=bold), width, max_lines)
    row = sheet.blank(max(words.height, *(part.height for part in parts)))
    at = sheet.sizes.margin
    for part in parts:
        sheet.put(row, part, at, (row.height - part.height) // 2)
        at += part.width + GRID * 3 // 2
    sheet.put(row, words, start, (row.height - words.height) // 2)
    return row


def _disc(sheet: Sheet, sign: str, side: int) -> Image.Image:
    disc = Image.new("1", (side, side), WHITE)
    pen_on(disc).ellipse((0, 0, side - 1, side - 1), fill=BLACK)
    digit = inverted(_ink(sheet.type(round(side * 0.55), bold=True).line(sign)))
    disc.paste(digit, ((side - digit.width) // 2, (side - digit.height) // 2))
    return disc


def _ink(line: Image.Image) -> Image.Image:
    """Without the white around it."""
    return line.crop(inverted(line).getbbox())


def rule(sheet: Sheet) -> Image.Image:
    block = sheet.blank(GRID)
    pen_on(block).rectangle((sheet.sizes.margin, 3, sheet.dots - sheet.sizes.margin - 1, 4), fill=BLACK)
    return block


def cut_line(sheet: Sheet) -> Image.Image:
    """Where to tear or cut: dashes from edge to edge, and scissors."""
    block = sheet.blank(4 * GRID)
    middle, pen = block.height // 2, pen_on(block)
    for left in range(0, sheet.dots, 2 * GRID):
        pen.rectangle((left, middle - 1, left + GRID, middle), fill=BLACK)
    scissors = _ink(sheet.type(sheet.sizes.body).line("✂"))
    pen.rectangle((sheet.sizes.margin, 0, sheet.sizes.margin + scissors.width + GRID, block.height), fill=WHITE)
    block.paste(scissors, (sheet.sizes.margin + GRID // 2, middle - scissors.height // 2))
    return block


def facts(sheet: Sheet, pairs: Sequence[tuple[str, str]]) -> Image.Image:
    """Labels with their values below, two side by side where both fit on one line each."""
    half = (sheet.room - GRID) // 2
    rows: list[Image.Image] = []
    rest = list(pairs)
    while rest:
        if len(rest) > 1 and all(_fits(sheet, pair, half) for pair in rest[:2]):
            rows.append(_beside(sheet, [_fact(sheet, *pair, half) for pair in rest[:2]], half + GRID))
            rest = rest[2:]
        else:
            rows.append(_beside(sheet, [_fact(sheet, *rest.pop(0), sheet.room)], 0))
    return sheet.stack(rows, gap=GRID)


def _fits(sheet: Sheet, pair: tuple[str, str], width: int) -> bool:
    label, value = sheet.type(sheet.sizes.label), sheet.type(sheet.sizes.value, bold=True)
    return label.width(pair[0]) <= width and value.width(pair[1]) <= width


def _fact(sheet: Sheet, label: str, value: str, width: int) -> Image.Image:
    parts = [
        sheet.text(label, sheet.type(sheet.sizes.label), width, 2),
        sheet.text(value, sheet.type(sheet.sizes.value, bold=True), width, 3, even=False),
    ]
    block = Image.new("1", (width, sum(part.height for part in parts)), WHITE)
    block.paste(parts[0], (0, 0))
    block.paste(parts[1], (0, parts[0].height))
    return block


def _beside(sheet: Sheet, parts: Sequence[Image.Image], pitch: int) -> Image.Image:
    row = sheet.blank(max(part.height for part in parts))
    for number, part in enumerate(parts):
        sheet.put(row, part, sheet.sizes.margin + number * pitch, 0)
    return row


def table(sheet: Sheet, rows: Sequence[tuple[str, str]]) -> Image.Image:
    """Labels in one column, values in bold in another: for many short facts. Nothing is cut before six lines."""
    label_width = int(sheet.room * LABEL_SHARE) // GRID * GRID
    value_width = sheet.room - label_width - GRID
    plain, bold = sheet.type(sheet.sizes.label), sheet.type(sheet.sizes.label, bold=True)
    blocks = [
        _beside(
            sheet,
            [sheet.text(label, plain, label_width, 3), sheet.text(value, bold, value_width, 6)],
            label_width + GRID,
        )
        for label, value in rows
    ]
    return sheet.stack(blocks, gap=0)


def notices(sheet: Sheet, texts: Sequence[str]) -> Image.Image:
    """What is wrong and what to do, each led by an exclamation mark. Nothing is cut before fifteen lines."""
    sign = _disc(sheet, "!", sheet.sizes.marker)
    return sheet.stack([_led(sheet, [sign], text, max_lines=15) for text in texts], gap=GRID)


def boxes(sheet: Sheet, texts: Sequence[str]) -> Image.Image:
    """Things to tick with a pen."""
    side = sheet.sizes.marker
    box = Image.new("1", (side, side), WHITE)
    pen_on(box).rectangle((0, 0, side - 1, side - 1), outline=BLACK, width=3)
    return sheet.stack([_led(sheet, [box], text) for text in texts], gap=GRID)


def _across(sheet: Sheet, column: Image.Image) -> Image.Image:
    block = sheet.blank(column.height)
    block.paste(column, (sheet.sizes.margin, 0))
    return block
