"""The first paper of `slipway printer test`: it shows how wide, how dark and how fine this printer prints.

In English, as the commands are. What to look at and which setting to change is `WHAT_TO_LOOK_AT`, which the command
prints; a person compares, nothing here measures. The sample slip that comes after it is `specimen`'s.
"""

from __future__ import annotations

from PIL import Image

from appliance.formats import slip_layout as layout
from appliance.formats.printer_profiles import Profile
from appliance.formats.slip_code import QUIET_MODULES, scaled
from appliance.formats.slip_shaping import BLACK, WHITE
from appliance.formats.slip_sheet import GRID, Sheet, pen_on, up

MODULES_DOTS = (2, 3, 4, 5, 6)  # slips never have fewer than 4
DARKNESS_EIGHTHS = (1, 2, 4, 6, 7)
BAYER = ((0, 4), (6, 2))  # which dots of two by two turn black first, in eighths
LINES_DOTS = (1, 2, 3)
MM_A_TEN = 10
TALL, MIDDLE, SHORT = 40, 28, 16  # ticks of ten, five and one millimetre
BAND = 48  # dots, height of a band of density

WHAT_TO_LOOK_AT = """\
Two papers have come out. On the first:
1 Width    The thick lines at both ends of the ruler must be there, whole and at the paper's edges.
           One is missing: [printer] paper_mm or model is wrong (too wide). Both are there, with more than 5 mm of
           white beside one: it is too narrow, or the roll's guide is set for other paper.
           10 on the ruler must be 10 mm on a real one; if not, another [printer] model has this printer's dots.
2 Black    The bar must be black all over. A white line along the paper: dirt on the head, clean it; if the line
           stays, an element is dead and the printer wants service. Grey or patchy: more density, or better paper.
3 Density  All lines must stand apart and be unbroken, and the five fields grow darker step by step.
           Lines run together, dark fields look alike: less density. Lines break up: more.
           {density}
4 Codes    Scan them one by one: the phone says how many dots a module has. 4 and more must be read, as a slip's code
           never has fewer than 4. If 4 is not, set the density, clean the head, or use 80 mm paper.
5 Cut      {cut}
On the second, the sample slip: the site's name, phone and logo, and a code. Scan it: the phone must show
https://slipway.test/ (it opens nothing)."""

CUT = "The two must be cut apart. If they are not, choose a [printer] model that does not cut."
TEAR = "This model does not cut. If yours has a cutter, choose a [printer] model that cuts."


def advice(profile: Profile) -> str:
    own = "This model has no command for it: its own menu, its switches or its maker's program set it."
    ours = f"Set [printer] density, {profile.palest} to {profile.darkest}; now it is {profile.density}."
    return WHAT_TO_LOOK_AT.format(density=ours if profile.darkest else own, cut=CUT if profile.cutter else TEAR)


def draw(profile: Profile, paper_mm: int) -> Image.Image:
    """Mode "1", black is 0, as wide as a slip on this paper."""
    sheet = Sheet(profile.dots(paper_mm))
    facts = [f"{profile.model}, {paper_mm} mm paper", f"{sheet.dots} dots, density {profile.density}"]
    title = [
        layout.heading(sheet, "Slipway test page"),
        *[layout.paragraph(sheet, fact, centred=True) for fact in facts],
    ]
    blocks = [
        sheet.stack(title, gap=0),
        _titled(sheet, "1 Width, mm", _ruler(sheet, profile.dots_per_mm)),
        _titled(sheet, "2 Black", _bar(sheet)),
        _titled(sheet, "3 Density", sheet.stack([_lines(sheet), _wedge(sheet)], gap=GRID)),
        _titled(sheet, "4 Codes: dots a module", _codes(sheet)),
        _titled(sheet, "5 The paper is cut here" if profile.cutter else "5 Tear here", layout.cut_line(sheet)),
    ]
    return sheet.stack(blocks, gap=2 * GRID, edge=2 * GRID)


def _titled(sheet: Sheet, title: str, block: Image.Image) -> Image.Image:
    return sheet.stack([layout.paragraph(sheet, title, bold=True), block], gap=GRID)


def _ruler(sheet: Sheet, dots_per_mm: float) -> Image.Image:
    """From the first dot of the line to the last, both marked by a line four dots thick."""
    digits = sheet.type(sheet.sizes.label)
    block = sheet.blank(TALL + digits.line("0").height + GRID)
    pen = pen_on(block)
    pen.line((0, 0, sheet.dots - 1, 0), fill=BLACK, width=2)
    for mm in range(1, int(sheet.dots / dots_per_mm)):
        left = round(mm * dots_per_mm)
        height = TALL if mm % MM_A_TEN == 0 else MIDDLE if mm % (MM_A_TEN // 2) == 0 else SHORT
        pen.line((left, 0, left, height), fill=BLACK, width=1)
        if mm % MM_A_TEN == 0:
            number = digits.line(str(mm))
            block.paste(number, (min(left - number.width // 2, sheet.dots - number.width - 6), TALL + 4))
    for edge in (0, sheet.dots - 4):
        pen.rectangle((edge, 0, edge + 3, block.height - 1), fill=BLACK)
    return block


def _bar(sheet: Sheet) -> Image.Image:
    block = sheet.blank(BAND)
    pen_on(block).rectangle((0, 0, sheet.dots - 1, BAND - 1), fill=BLACK)
    return block


def _lines(sheet: Sheet) -> Image.Image:
    """Fields of lines as wide as the gaps between them: along the paper, then across it."""
    block = sheet.blank(BAND)
    width = sheet.room // (2 * len(LINES_DOTS))
    for place, (thick, along) in enumerate([(thick, along) for thick in LINES_DOTS for along in (True, False)]):
        field = Image.new("1", (width - GRID, BAND), WHITE)
        pen = pen_on(field)
        for start in range(0, (field.width if along else field.height) - thick, 2 * thick):
            end = start + thick - 1
            pen.rectangle((start, 0, end, BAND) if along else (0, start, field.width, end), fill=BLACK)
        block.paste(field, (sheet.sizes.margin + place * width, 0))
    return block


def _wedge(sheet: Sheet) -> Image.Image:
    """An eighth, a quarter, a half, three quarters and seven eighths of the dots are black."""
    block = sheet.blank(BAND)
    width = sheet.room // len(DARKNESS_EIGHTHS)
    for place, eighths in enumerate(DARKNESS_EIGHTHS):
        field = Image.new("1", (width - GRID, BAND), WHITE)
        field.putdata([_dot(x, y, eighths) for y in range(field.height) for x in range(field.width)])
        block.paste(field, (sheet.sizes.margin + place * width, 0))
    return block


def _dot(x: int, y: int, eighths: int) -> int:
    order = BAYER[y % 2][x % 2] + ((x // 2 + y // 2) % 2)
    return BLACK if order < eighths else WHITE


def code_text(dots: int) -> str:
    return f"Slipway {dots} dots"


def _codes(sheet: Sheet) -> Image.Image:
    """In as many rows as it takes, each with its number below: no phone sees two at once when held near."""
    rows: list[list[Image.Image]] = [[]]
    for dots in MODULES_DOTS:
        code = _code(sheet, dots)
        if rows[-1] and sum(one.width for one in rows[-1]) + code.width > sheet.dots:
            rows.append([])
        rows[-1].append(code)
    return sheet.stack([_row(sheet, row) for row in rows], gap=GRID)


def _code(sheet: Sheet, dots: int) -> Image.Image:
    picture, number = scaled(code_text(dots), dots), sheet.type(sheet.sizes.value, bold=True).line(str(dots))
    quiet = up(QUIET_MODULES * dots)
    block = Image.new("1", (picture.width + 2 * quiet, picture.height + quiet + number.height + GRID), WHITE)
    block.paste(picture, (quiet, quiet // 2))
    block.paste(number, ((block.width - number.width) // 2, picture.height + quiet))
    return block


def _row(sheet: Sheet, codes: list[Image.Image]) -> Image.Image:
    block = sheet.blank(max(code.height for code in codes))
    space = (sheet.dots - sum(code.width for code in codes)) // (len(codes) + 1)
    left = space
    for code in codes:
        block.paste(code, (left, block.height - code.height))
        left += code.width + space
    return block
