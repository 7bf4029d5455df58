"""Writes the slips' pictures for the documents: every language on 80 mm paper, some on 58 mm, large print, staff half.

    .venv/bin/python -m tests.pictures

Look at each of them afterwards: no test sees that a word is cut wrongly or a letter badly joined.
"""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from PIL import Image, ImageDraw

from appliance.core.completeness import Source, Verdict
from appliance.core.initials import initials
from appliance.formats import slip_bitmap, slip_pin, slip_scanned, status_slip
from appliance.formats.languages import LANGUAGES
from appliance.formats.link import Link
from appliance.formats.slip_pin import PinFace
from appliance.formats.slip_scanned import Became, ScannedFace
from appliance.formats.slip_text import SlipFace, StaffHalf
from appliance.formats.status_slip import Place, SetupFace, StatusFace

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
WIDE, NARROW = 576, 384
URL = Link("https://vault.example.org", bytes(range(16)), bytes(range(100, 132))).url
FACE = SlipFace(
    site="St Mary's Radiology",
    url=URL,
    number="S-00042",
    initials="A.R.",
    birth_year="1970",
    valid_until=datetime(2027, 1, 28, 14, 5),  # noqa: DTZ001 - the site's own time
    phone="+44 1632 960961",
)
CHECKED = Verdict(Source.QUERY, 530, 530)
MISSING = Verdict(Source.NOTIFICATION, 528, 530, 2)
QUIET = Verdict(Source.QUIET, 412, quiet_s=30.0)
REQUESTED = replace(
    FACE,
    verdict=Verdict(Source.MEDIA_CREATION, 530, 530),
    hand_to="Dr Hill, Riverside Practice, 12 Mill Lane",
    note="CT chest and abdomen\r\nfor the clinic on 4 February",
    barcode="ACC20270112",
)
ADMINISTRATOR = (
    "The PACS does not know this box's AE title SHARE (C-MOVE status A801).",
    "Add it there as a destination with the box's address and port: docs/pacs.md.",
    "Request 12.",
)
# Invented sites and people; DICOM names, so that the initials are those that a slip would have.
PEOPLE = {
    "en": ("St Mary's Radiology", "Rivers^Ada"),
    "es": ("Radiología Santa Ana", "Ríos^Ágata"),
    "fr": ("Imagerie médicale Saint-Éloi", "Rivière^Élodie"),
    "de": ("Röntgenpraxis Grüner Weg", "Flüß^Änne"),
    "pt": ("Radiologia São João", "Conceição^Ângela"),
    "it": ("Radiologia Città Alta", "Fiumi^Ada"),
    "pl": ("Pracownia rentgenowska Łódź", "Żółć^Łucja"),
    "ru": ("Отделение лучевой диагностики", "Рекина^Ада"),
    "uk": ("Відділення променевої діагностики", "Їжакевич^Ґалина"),
    "ar": ("مستشفى الملك فيصل – قسم الأشعة", "النهري^عبد الله"),
    "he": ("מכון הדימות הדרים", "נהרי^עדה"),
    "fa": ("مرکز تصویربرداری پارس", "رودکی^پروین"),
    "hi": ("जीवन ज्योति एक्स-रे केंद्र", "क्षीरसागर^प्रिया"),
    "bn": ("শান্তি ইমেজিং সেন্টার", "চট্টোপাধ্যায়^স্নেহা"),
    "ur": ("شفا ہسپتال، شعبۂ ریڈیالوجی", "چوہدری^ژالہ"),
    "zh_Hans": ("仁爱医院放射科", "Wang^Xiaodong=王^小东"),
    "zh_Hant": ("仁愛醫院影像醫學部", "=王^曉東"),
    "ja": ("みどり総合病院 放射線科", "=山田^花子=ヤマダ^ハナコ"),
    "ko": ("한빛병원 영상의학과", "=洪^吉童=홍^길동"),
    "vi": ("Khoa Chẩn đoán hình ảnh Bình Dương", "Nguyễn^Ước"),
    "tl": ("Radyolohiya ng San Roque", "Ilog^Ñina"),
}


def face(language: str) -> SlipFace:
    site, name = PEOPLE[language]
    return replace(FACE, site=site, initials=initials(name), language=language)


def pictures() -> dict[str, tuple[SlipFace, int]]:
    """Name of the file, and what is drawn how many dots wide."""
    staff = StaffHalf("en", "12 Jan 2027 · CT")
    full = replace(FACE, factor="pin", copy=2, staff=staff, logo=sample_logo())
    return {
        "slip-80": (FACE, WIDE),
        "slip-58": (FACE, NARROW),
        **{f"slip-80-{language}": (face(language), WIDE) for language in LANGUAGES},
        **{f"slip-58-{language}": (face(language), NARROW) for language in ("ar", "bn", "de", "ja", "vi", "zh_Hant")},
        **{f"slip-80-large-{one}": (replace(face(one), large_print=True), WIDE) for one in ("en", "fa", "ru", "ja")},
        "slip-58-large-de": (replace(face("de"), large_print=True), NARROW),
        "slip-80-staff": (full, WIDE),
        "slip-58-staff": (full, NARROW),
        "slip-80-staff-ar": (replace(full, language="ur", staff=replace(staff, language="ar")), WIDE),
        **{f"slip-80-checked-{one}": (replace(face(one), verdict=CHECKED), WIDE) for one in ("en", "ar", "zh_Hans")},
        **{f"slip-58-checked-{one}": (replace(face(one), verdict=CHECKED), NARROW) for one in ("de", "zh_Hant")},
        "slip-80-missing-ur": (replace(face("ur"), verdict=MISSING), WIDE),
        "slip-58-quiet-ar": (replace(face("ar"), verdict=QUIET), NARROW),
        "slip-80-requested": (REQUESTED, WIDE),
        "slip-58-requested": (REQUESTED, NARROW),
        "slip-80-requested-ar": (replace(REQUESTED, language="ar", initials=face("ar").initials), WIDE),
        "slip-80-none-ko": (replace(face("ko"), factor="none", copy=3), WIDE),
    }


def pin_papers() -> dict[str, Image.Image]:
    """What tells staff a PIN."""
    return {
        f"pin-{mm}-{language}": slip_pin.render(pin_face(language), dots)
        for mm, dots, languages in (("80", WIDE, ("en", "ar", "ja")), ("58", NARROW, ("en", "de")))
        for language in languages
    }


def pin_face(language: str) -> PinFace:
    return PinFace(language, FACE.number, initials(PEOPLE[language][1]), FACE.birth_year, "402771")


def scanned_papers() -> dict[str, Image.Image]:
    """What whoever scans accession numbers is told."""
    shown = [
        *[("80", WIDE, language, Became.NOTHING_FOUND) for language in ("en", "ar", "ja", "hi")],
        *[("80", WIDE, language, Became.NOT_SENT) for language in ("en", "ar")],
        *[("58", NARROW, language, Became.SLIP_IS_OUT) for language in ("en", "de", "bn", "he")],
    ]
    return {
        f"scanned-{mm}-{became.replace(' ', '-')}-{language}": slip_scanned.render(scanned_face(language, became), dots)
        for mm, dots, language, became in shown
    }


def scanned_face(language: str, became: Became) -> ScannedFace:
    site = PEOPLE[language][0]
    if became is Became.SLIP_IS_OUT:
        return ScannedFace(became, "42", slips=(FACE.number,), site=site, language=language)
    if became in (Became.REFUSED, Became.NOT_SENT, Became.NOT_ANSWERED, Became.NOT_SENT_YET):
        return ScannedFace(became, "42", detail=ADMINISTRATOR, site=site, language=language)
    return ScannedFace(became, "42", site=site, language=language)


def place(language: str) -> Place:
    title, ports = "SHARE", ("104", "2762 (TLS)")
    key = "SHA256:3Ac9tvV9Gh0pL8xYzqWm2Rk5dTf7BnUeJsQoC1iXwNg"
    return Place(PEOPLE[language][0], language, ("10.20.0.9", "fd00:20::9"), (title,), ports, key)


def boxes_own() -> dict[str, Image.Image]:
    """Slips about the box: a line of all that they can say."""
    at = datetime(2027, 1, 28, 14, 5, tzinfo=ZoneInfo("Europe/Berlin"))
    wrong = (
        (
            "The vault cannot be used: the vault at vault.example.org does not answer. Images are kept here and go up "
            "later.",
            "Check the network and [vault] url.",
        ),
        ("Waiting for the patient's wristband: slip S-00042.", "Scan it."),
    )
    said = StatusFace(
        place=place("en"),
        host="slipway-ct1",
        version="0.1.0",
        at=at,
        clock=True,
        echoes=(("CT1", ""), ("PACS", "no answer")),
        vault="vault.example.org",
        vault_reached=False,
        vault_since=at.replace(hour=11, minute=40),
        waiting_images=1204,
        waiting_bytes=631_000_000,
        slips_waiting=1,
        paper="low",
        free_bytes=81_000_000_000,
        wrong=wrong,
    )
    commands = ("ssh root@10.20.0.9", "slipway enrol https://vault.example.org CODE")
    drawn = {}
    for language in ("en", "ar", "ja"):
        drawn[f"status-80-{language}"] = status_slip.status(replace(said, place=place(language)), WIDE)
        face = SetupFace(place(language), commands, "ssh://root@10.20.0.9")
        drawn[f"setup-80-{language}"] = status_slip.setup(face, WIDE)
    well = replace(said, place=place("de"), wrong=(), vault_reached=True, paper="ok", slips_waiting=0)
    return drawn | {"status-58-de": status_slip.status(well, NARROW)}


def sample_logo() -> bytes:
    """An invented site's: a disc with a wave, and a soft edge as drawing programs make it."""
    large = Image.new("L", (1600, 400), 255)
    pen = ImageDraw.Draw(large)
    pen.ellipse((20, 20, 380, 380), fill=0)
    pen.line([(80, 220), (150, 220), (190, 110), (230, 290), (260, 220), (320, 220)], fill=255, width=26)
    pen.rectangle((440, 120, 1560, 180), fill=0)
    pen.rectangle((440, 230, 1200, 270), fill=90)
    out = io.BytesIO()
    large.resize((800, 200), Image.Resampling.LANCZOS).save(out, "PNG")
    return out.getvalue()


def main() -> None:
    for name, (said, dots) in pictures().items():
        picture, unprintable = slip_bitmap.drawn(said, dots)
        (FOLDER / f"{name}.png").write_bytes(slip_bitmap.png(picture))
        print(f"{name}.png {picture.width} x {picture.height}", *unprintable)
    for name, picture in (boxes_own() | pin_papers() | scanned_papers()).items():
        (FOLDER / f"{name}.png").write_bytes(slip_bitmap.png(picture))
        print(f"{name}.png {picture.width} x {picture.height}")


if __name__ == "__main__":
    main()
