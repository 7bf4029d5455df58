"""Slips and staff slips as jobs for the printer: drawn, numbered, and held back where an imager reads their codes."""

from __future__ import annotations

import hashlib

from PIL import Image

from appliance.daemon.facing import SlipLook
from appliance.formats import escpos, read_back, slip_bitmap, slip_pin
from appliance.formats.printer_profiles import Profile
from appliance.formats.slip_pin import PinFace
from appliance.formats.slip_text import SlipFace
from appliance.ports import PrintJob, Row

MOST_COPIES = 8  # of one slip: room between the process ids of two; the last is its staff slip's
STAFF_SLIP = "-PIN"  # behind the number of the slip that it belongs to


def slip_jobs(said: SlipFace, slip: Row, share: Row, model: Profile, look: SlipLook) -> list[PrintJob]:
    """One a copy: as many as a request wants, else the profile."""
    picture = slip_bitmap.render(said, model.dots(look.paper_mm))
    jobs = []
    for copy in range(copies_of(share, look.of(share["profile"]).copies)):
        number = slip["number"] + (f"-{copy + 1}" if copy else "")
        jobs.append(paper(number, picture, said.url, model, process_id(slip["id"], copy), look))
    return jobs


def staff_slip_job(said: PinFace, slip: Row, model: Profile, look: SlipLook) -> PrintJob:
    """Nothing reads it back: there is no code on it."""
    picture, its_id = slip_pin.render(said, model.dots(look.paper_mm)), process_id(slip["id"], MOST_COPIES - 1)
    data = escpos.slip(picture, model, its_id)
    return PrintJob(f"{slip['number']}{STAFF_SLIP}", data, slip_bitmap.png(picture), its_id)


def process_id(slip: int, copy: int) -> bytes:
    """Counts with the slips, so an answer that is late by any time fits no newer one."""
    return f"{(slip * MOST_COPIES + copy) % 0x10000:04x}".encode()


def copies_of(share: Row, of_profile: int) -> int:
    """How many papers with the same code its slip is."""
    return int(min(share["copies"] or of_profile, MOST_COPIES - 1))


def paper(number: str, picture: Image.Image, url: str, model: Profile, process_id: bytes, look: SlipLook) -> PrintJob:
    """One copy of a slip: whole, or held back until an imager has read its code."""
    shown = slip_bitmap.png(picture)
    if look.read_back_mm is None:
        return PrintJob(number, escpos.slip(picture, model, process_id), shown, process_id)
    fed = read_back.fed(picture, round(look.read_back_mm * model.dots_per_mm))
    void = read_back.void_mark(picture.width)
    data, ending, spoilt = escpos.held_back(fed, void, model, process_id)
    code = hashlib.sha256(url.encode()).digest()
    return PrintJob(number, data, shown, process_id, ending=ending, void=spoilt, code_sha256=code)
