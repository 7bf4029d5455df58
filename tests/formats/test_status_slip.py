"""The slips about the box: every language, both papers, nothing cut."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from appliance.formats import status_slip
from appliance.formats.languages import LANGUAGES
from appliance.formats.slip_sheet import Sheet
from appliance.formats.status_slip import Place, SetupFace, StatusFace
from tests.escpos_reader import decode_qr

PLACE = Place("St Mary's", "en", ("10.20.0.9",), ("SHARE", "PIN"), ("104", "2762 (TLS)"), "SHA256:" + "a9" * 21 + "b")
FACE = StatusFace(
    place=PLACE,
    host="slipway",
    version="0.1.0",
    at=datetime(2027, 1, 28, 14, 5, tzinfo=UTC),
    clock=True,
    echoes=(("CT1", ""), ("PACS", "no answer")),
    vault="vault.example.org",
    vault_reached=True,
    vault_since=datetime(2027, 1, 28, 11, 0, tzinfo=UTC),
    waiting_images=12,
    waiting_bytes=3_000_001,
    slips_waiting=2,
    paper="low",
    free_bytes=81_000_000_000,
    wrong=(("The paper is out.", "Put in a new roll."),),
)
SETUP = SetupFace(PLACE, ("ssh root@10.20.0.9", "slipway enrol https://VAULT CODE"), "ssh://root@10.20.0.9")


def rows(**changes: object) -> dict[str, str]:
    shown = status_slip._rows(replace(FACE, **changes), "en")  # type: ignore[arg-type]
    return {re.sub("[\u2066\u2069]", "", label): re.sub("[\u2066\u2069]", "", value) for label, value in shown}


def test_a_status_slip_says_everything_that_a_technician_asks_for():
    assert rows() == {
        "Address": "10.20.0.9",
        "Host name": "slipway",
        "AE title": "SHARE, PIN",
        "Port": "104, 2762 (TLS)",
        "SSH": PLACE.fingerprint,
        "Clock": "2027-01-28 14:05 UTC, synchronised",
        "Echo CT1": "answers",
        "Echo PACS": "no answer",
        "Vault": "vault.example.org, reached, since 2027-01-28 11:00",
        "Waiting for the vault": "images: 12 (4 MB)",
        "Slips waiting": "2",
        "Paper": "nearly used up",
        "Free space": "81 GB",
        "Version": "0.1.0",
    }


def test_what_is_not_known_is_not_claimed():
    said = rows(clock=None, vault="", paper="unknown", place=replace(PLACE, addresses=(), fingerprint=""))
    assert said["Clock"] == "2027-01-28 14:05 UTC"
    assert (said["Vault"], said["Paper"], said["Address"]) == ("not enrolled", "unknown", "unknown")
    assert "SSH" not in said
    assert rows(vault_reached=False, vault_since=None)["Vault"] == "vault.example.org, not reached"


@pytest.mark.parametrize("dots", [384, 576])
@pytest.mark.parametrize("language", LANGUAGES)
def test_both_slips_can_be_drawn_in_every_language_on_both_papers(language, dots):
    place = replace(PLACE, language=language)
    for picture in (
        status_slip.status(replace(FACE, place=place), dots),
        status_slip.setup(replace(SETUP, place=place), dots),
    ):
        assert picture.size == (dots, picture.height)
        inked = np.flatnonzero((~np.array(picture)).any(axis=0))
        margin = Sheet(dots, language).sizes.margin
        assert inked[0] >= margin
        assert inked[-1] < dots - margin


@pytest.mark.parametrize("dots", [384, 576])
def test_a_long_sentence_is_not_cut(dots):
    long = "The vault cannot be used: " + "the connection is not trusted, " * 5
    few = status_slip.status(replace(FACE, wrong=((long, "Check."),)), dots)
    more = status_slip.status(replace(FACE, wrong=((long, "Check the network and the settings of the vault."),)), dots)
    assert more.height > few.height


def test_the_set_up_slips_code_opens_the_login():
    assert decode_qr(status_slip.setup(SETUP, 576)) == "ssh://root@10.20.0.9"


def test_without_an_address_there_is_no_code():
    assert status_slip.setup(replace(SETUP, code=""), 576).height < status_slip.setup(SETUP, 576).height
