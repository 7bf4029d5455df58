"""The slip of `slipway printer test`: width, cutter and contrast at a glance, and a code that opens nothing."""

from __future__ import annotations

from appliance.daemon.facing import SlipLook
from appliance.formats import escpos, slip_bitmap
from appliance.formats.printer_profiles import Profile
from appliance.formats.slip_text import SlipFace
from appliance.ports import PrintJob

NUMBER = "TEST"  # no slip of a share is called so
URL = "https://slipway.test/#" + "A" * 67  # as long as a real link
PROCESS_ID = b"TEST"


def specimen(look: SlipLook, model: Profile) -> PrintJob:
    face = SlipFace(
        site=look.site,
        url=URL,
        number=NUMBER,
        initials="T.T.",
        birth_year="1970",
        valid_until=None,
        phone=look.phone,
        language=look.language,
        logo=look.logo,
    )
    picture = slip_bitmap.render(face, model.dots(look.paper_mm))
    return PrintJob(NUMBER, escpos.slip(picture, model, PROCESS_ID), slip_bitmap.png(picture), PROCESS_ID)
