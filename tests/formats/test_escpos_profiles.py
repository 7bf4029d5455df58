from __future__ import annotations

import pytest

from appliance.errors import SettingsError
from appliance.formats import printer_profiles
from appliance.formats.printer_profiles import Confirmation


def test_a_model_is_found_in_any_case():
    assert printer_profiles.find(" tm-t20ii ").model == "TM-T20II"


def test_the_modern_epsons_confirm_each_slip():
    for model in ("TM-T20II", "TM-T20III", "TM-T88V", "TM-T88VI", "TM-m30II"):
        assert printer_profiles.find(model).confirmation is Confirmation.PROCESS_ID


@pytest.mark.parametrize(
    ("model", "paper_mm", "dots"),
    [("TM-T20II", 80, 576), ("TM-T20II", 58, 416), ("TM-T88V", 80, 512), ("TM-T88V", 58, 360), ("POS-5890", 58, 384)],
)
def test_the_slip_is_as_wide_as_the_printers_line_in_whole_bytes(model, paper_mm, dots):
    assert printer_profiles.find(model).dots(paper_mm) == dots


def test_an_unknown_model_names_the_near_ones():
    with pytest.raises(SettingsError) as caught:
        printer_profiles.find("TMT20II")
    assert "TM-T20II" in caught.value.hint
    assert caught.value.exit_status == 2


def test_a_model_like_no_other_points_to_the_generic_ones():
    with pytest.raises(SettingsError) as caught:
        printer_profiles.find("???")
    assert "generic-80" in caught.value.hint


@pytest.mark.parametrize(("model", "paper_mm", "fitting"), [("POS-5890", 80, "58"), ("TM-L90", 58, "80")])
def test_paper_that_the_printer_does_not_take_is_a_wrong_setting(model, paper_mm, fitting):
    with pytest.raises(SettingsError) as caught:
        printer_profiles.find(model).dots(paper_mm)
    assert f"paper_mm = {fitting}" in caught.value.hint


def test_a_model_of_the_librarys_is_not_trusted_to_confirm():
    assert printer_profiles.find("TSP600").confirmation is Confirmation.STATUS


def test_every_model_in_the_list_can_be_found_and_is_wide_enough_for_a_slip():
    for model in printer_profiles.models():
        profile = printer_profiles.find(model)
        assert max(profile.dots_58, profile.dots_80) >= 320
