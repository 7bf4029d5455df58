"""The papers of `slipway printer test`: one that measures, and a sample slip, whose code opens nothing."""

from __future__ import annotations

from appliance.daemon.facing import SlipLook
from appliance.formats import escpos, measuring_page, slip_bitmap
from appliance.formats.printer_profiles import Profile
from appliance.formats.slip_sheet import Sheet
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
    papers = [measuring_page.draw(model, look.paper_mm), slip_bitmap.render(face, model.dots(look.paper_mm))]
    shown = slip_bitmap.png(Sheet(model.dots(look.paper_mm)).stack(papers, gap=0))
    return PrintJob(NUMBER, escpos.papers(papers, model, PROCESS_ID), shown, PROCESS_ID)
