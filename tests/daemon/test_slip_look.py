"""From the settings to what slips look like: mistakes are found when the box starts, not at the first patient."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import config
from appliance.daemon.compose import slip_look
from appliance.daemon.facing import ProfileLook
from appliance.daemon.specimen import specimen
from appliance.errors import SettingsError
from appliance.formats import printer_profiles
from appliance.formats.slip_logo import LogoError
from tests.escpos_reader import decode_qr, slips
from tests.pictures import sample_logo


def settings(**site: str) -> config.Settings:
    profile = {"ae_title": "SHARE", "copies": 2, "language": "uk", "large_print": True, "staff_half": True}
    return config.parse({"site": site, "profile": [profile, {"ae_title": "PLAIN"}]})


def test_each_profile_has_a_look_of_its_own():
    look = slip_look(settings(language="de"))
    assert look.language == "de"
    assert look.of("SHARE") == ProfileLook(2, "uk", large_print=True, staff_half=True)
    assert look.of("PLAIN") == look.of("GONE") == ProfileLook()


def test_a_logo_is_read_once_and_printed(tmp_path: Path):
    path = tmp_path / "logo.png"
    path.write_bytes(sample_logo())
    look, plain = slip_look(settings(logo_file=str(path))), slip_look(settings())
    path.unlink()
    model = printer_profiles.find("TM-T20III")
    _, page = slips(specimen(look, model).data)
    _, without = slips(specimen(plain, model).data)
    assert page.height > without.height + 80
    assert decode_qr(page).startswith("https://slipway.test/")


def test_a_logo_that_is_not_there_is_an_error_of_the_settings(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"logo_file .*none\.png cannot be read"):
        slip_look(settings(logo_file=str(tmp_path / "none.png")))


def test_a_logo_that_is_no_picture_is_told_with_what_to_do(tmp_path: Path):
    path = tmp_path / "logo.png"
    path.write_bytes(b"<svg/>")
    with pytest.raises(LogoError) as caught:
        slip_look(settings(logo_file=str(path)))
    assert "PNG" in caught.value.hint


def test_a_file_without_end_is_no_logo():
    with pytest.raises(LogoError, match="bytes"):
        slip_look(settings(logo_file="/dev/zero"))


def test_the_test_slip_speaks_the_sites_language():
    model = printer_profiles.find("generic-58")
    look = slip_look(config.parse({"site": {"language": "ar"}, "printer": {"paper_mm": 58}}))
    english = slip_look(config.parse({"printer": {"paper_mm": 58}}))
    assert specimen(look, model).picture != specimen(english, model).picture
