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


@pytest.mark.parametrize("model", ["TSP143III", "tsp100", "mC-Print3", "mPOP"])
def test_a_printer_that_speaks_no_escpos_is_refused_by_name_with_what_to_do(model):
    with pytest.raises(SettingsError, match=r"raster commands|StarPRNT") as caught:
        printer_profiles.find(model)
    assert "Use another printer" in caught.value.hint
    assert model not in printer_profiles.models()


@pytest.mark.parametrize(
    ("model", "narrow", "wide"),
    [("TSP650II", 384, 576), ("CT-S310II", 384, 576), ("CT-S651", 384, 576), ("SRP-350III", 360, 512)],
)
def test_where_no_paper_tells_a_printers_line_the_narrowest_of_its_class_is_taken(model, narrow, wide):
    profile = printer_profiles.find(model)
    assert (profile.dots(58), profile.dots(80)) == (narrow, wide)
    assert profile.confirmation is Confirmation.STATUS


@pytest.mark.parametrize("density", [-6, 6])
def test_a_density_that_the_model_takes_is_told_to_it(density):
    assert printer_profiles.find("TM-T90", density).density == density


@pytest.mark.parametrize(
    ("model", "density", "hint"),
    [
        ("TM-T90", 7, "-6 to 6"),
        ("TM-L90", -7, "-6 to 8"),
        ("TM-T20III", 1, "at the printer"),
        ("POS-5890", -1, "at the printer"),
    ],
)
def test_a_density_that_the_model_has_no_command_for_is_a_wrong_setting(model, density, hint):
    with pytest.raises(SettingsError, match=f"density of {density}") as caught:
        printer_profiles.find(model, density)
    assert hint in caught.value.hint
