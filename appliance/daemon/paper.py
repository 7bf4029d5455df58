"""One copy of a slip as a job for the printer: whole, or held back until an imager has read its code."""

from __future__ import annotations

import hashlib

from PIL import Image

from appliance.daemon.facing import SlipLook
from appliance.formats import escpos, read_back, slip_bitmap
from appliance.formats.printer_profiles import Profile
from appliance.ports import PrintJob


def paper(number: str, picture: Image.Image, url: str, model: Profile, process_id: bytes, look: SlipLook) -> PrintJob:
    shown = slip_bitmap.png(picture)
    if look.read_back_mm is None:
        return PrintJob(number, escpos.slip(picture, model, process_id), shown, process_id)
    fed = read_back.fed(picture, round(look.read_back_mm * model.dots_per_mm))
    void = read_back.void_mark(picture.width)
    data, ending, spoilt = escpos.held_back(fed, void, model, process_id)
    code = hashlib.sha256(url.encode()).digest()
    return PrintJob(number, data, shown, process_id, ending=ending, void=spoilt, code_sha256=code)
