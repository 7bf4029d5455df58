"""Slips about the box itself, as a printer is its screen: how it is (status), and what to do with a new one (set-up).

Labels are in the site's language; what the box says in sentences, and what is typed, is as it is everywhere else:
English, addresses, commands. Nothing of a patient is known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from PIL import Image

from appliance.formats import slip_layout as layout
from appliance.formats.languages import ENGLISH, known_language
from appliance.formats.slip_code import symbol
from appliance.formats.slip_sheet import GRID, Sheet
from appliance.formats.slip_text import clean
from appliance.formats.slip_words import END, LEFT_TO_RIGHT, catalogue

MINUTE = "%Y-%m-%d %H:%M"  # read alike in every language


@dataclass(frozen=True)
class Place:
    """Where the box is, and how it is called."""

    site: str
    language: str
    addresses: tuple[str, ...]
    ae_titles: tuple[str, ...]
    ports: tuple[str, ...]  # with "(TLS)" where it is
    fingerprint: str = ""  # of the SSH host key


@dataclass(frozen=True)
class StatusFace:
    place: Place
    host: str
    version: str
    at: datetime  # in the site's time zone
    clock: bool | None  # synchronised; None: nobody knows
    echoes: tuple[tuple[str, str], ...]  # a peer's AE title, and what is in the way; "": it answers
    vault: str  # its host; "": not enrolled
    vault_reached: bool
    vault_since: datetime | None
    waiting_images: int
    waiting_bytes: int
    slips_waiting: int
    paper: str  # ok, low, out, unknown
    free_bytes: int
    wrong: tuple[tuple[str, str], ...]  # what is wrong, and what to do


@dataclass(frozen=True)
class SetupFace:
    place: Place
    commands: tuple[str, ...]
    code: str = ""  # what the code holds; "": there is none


def status(face: StatusFace, dots: int) -> Image.Image:
    """As `slip_bitmap.render` draws a patient's slip. Raises PaperTooNarrowError or FontMissingError."""
    language = known_language(face.place.language) or ENGLISH
    sheet, say = Sheet(dots, language), catalogue(language)
    # The sentences are English: they are set from left to right on a sheet of their own.
    english = Sheet(dots)
    told = layout.notices(english, [f"{clean(what)} {clean(do)}".strip() for what, do in face.wrong])
    heading = say("What is wrong, and what to do:") if face.wrong else say("All is well.")
    return sheet.stack(
        [
            _title(sheet, face.place, say("Status of this box")),
            layout.rule(sheet),
            layout.table(sheet, _rows(face, language)),
            layout.rule(sheet),
            sheet.stack([layout.paragraph(sheet, heading, bold=True), told], gap=GRID),
        ],
        edge=2 * GRID,
    )


def _rows(face: StatusFace, language: str) -> list[tuple[str, str]]:
    say, place = catalogue(language), face.place
    clock = {True: say("synchronised"), False: say("not synchronised"), None: ""}[face.clock]
    since = say("since {time}").format(time=_plain(f"{face.vault_since:{MINUTE}}")) if face.vault_since else ""
    reached = say("reached") if face.vault_reached else say("not reached")
    amount = {"images": face.waiting_images, "megabytes": -(-face.waiting_bytes // 1_000_000)}
    paper = {"ok": say("enough"), "low": say("nearly used up"), "out": say("used up")}.get(face.paper, say("unknown"))
    return [
        *_place(place, language, (say("Host name"), _plain(face.host))),
        *([("SSH", _plain(place.fingerprint))] if place.fingerprint else []),
        (say("Clock"), _joined(_plain(f"{face.at:{MINUTE} %Z}"), clock)),
        *[(_plain(f"Echo {title}"), _plain(wrong) or say("answers")) for title, wrong in face.echoes],
        (say("Vault"), _joined(_plain(face.vault), reached, since) if face.vault else say("not enrolled")),
        (say("Waiting for the vault"), say("images: {images} ({megabytes} MB)").format(**amount)),
        (say("Slips waiting"), str(face.slips_waiting)),
        (say("Paper"), paper),
        (say("Free space"), _plain(f"{face.free_bytes // 1_000_000_000} GB")),
        (say("Version"), _plain(face.version)),
    ]


def _place(place: Place, language: str, *also: tuple[str, str]) -> list[tuple[str, str]]:
    say = catalogue(language)
    return [
        (say("Address"), _plain(", ".join(place.addresses)) or say("unknown")),
        *also,
        ("AE title", _plain(", ".join(place.ae_titles))),
        (say("Port"), _plain(", ".join(place.ports))),
    ]


def setup(face: SetupFace, dots: int) -> Image.Image:
    """What to enter at the modality, and what to type next. Raises as `status`."""
    language = known_language(face.place.language) or ENGLISH
    sheet, say, place = Sheet(dots, language), catalogue(language), face.place
    # Commands are typed from left to right, whatever the language.
    typed = layout.steps(Sheet(dots), [(str(n), command) for n, command in enumerate(face.commands, 1)])
    key = [("SSH", _plain(place.fingerprint))] if place.fingerprint else []
    return sheet.stack(
        [
            _title(sheet, place, say("Set up this box")),
            layout.rule(sheet),
            layout.paragraph(sheet, say("Enter this at the modality:")),
            layout.table(sheet, _place(place, language)),
            layout.rule(sheet),
            layout.paragraph(sheet, say("Then, at a computer:")),
            typed,
            layout.table(sheet, key) if key else sheet.blank(0),
            _code(sheet, face.code) if face.code else sheet.blank(0),
        ],
        edge=2 * GRID,
    )


def _title(sheet: Sheet, place: Place, what: str) -> Image.Image:
    return sheet.stack(
        [layout.heading(sheet, clean(place.site)), layout.paragraph(sheet, what, bold=True, centred=True)], gap=0
    )


def _code(sheet: Sheet, text: str) -> Image.Image:
    """Half as wide as the paper: it holds little, and nobody reads it from afar."""
    picture, quiet = symbol(text, sheet.dots // 2)
    block = sheet.blank(picture.height + 2 * quiet)
    block.paste(picture, ((sheet.dots - picture.width) // 2, quiet))
    return block


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _plain(text: str) -> str:
    """Addresses and figures run from left to right, whatever stands around them."""
    cleaned = clean(text)
    return f"{LEFT_TO_RIGHT}{cleaned}{END}" if cleaned else ""
