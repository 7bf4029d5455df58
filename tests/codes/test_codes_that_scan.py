"""Every code on every slip is read by two independent decoders, on good paper and on bad."""

from __future__ import annotations

import bisect
import random
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from appliance.formats import escpos, printer_profiles
from appliance.formats.slip_code import PaperTooNarrowError, symbol
from tests.codes import decoders
from tests.codes.camera import BLUR_DOTS, ONE_BY_ONE, TOGETHER, Wear, blurred, grainy
from tests.codes.slips import ADDRESSES, PAPERS, REAL_ADDRESSES, link, public_url, slips
from tests.escpos_reader import slips as printed

Read = list[tuple[str, Image.Image]]


def unread(worn: Read, folder: Path) -> list[str]:
    """What a decoder did not read exactly, and which."""
    by_zbar = decoders.zbar([picture for _, picture in worn], folder)
    failed = [f"zxing: {url}" for url, picture in worn if decoders.zxing(picture) != [url]]
    return failed + [f"zbar: {url}" for (url, _), texts in zip(worn, by_zbar, strict=True) if texts != [url]]


def worn_slips(wear: Wear, seeds: range, dots: int, addresses: tuple[int, ...] = ADDRESSES) -> Read:
    return [(url, wear(picture)) for seed in seeds for url, picture in slips(seed, dots, addresses)]


@pytest.mark.parametrize("dots", [384, 576])
@pytest.mark.parametrize("wear", ONE_BY_ONE)
def test_both_decoders_read_every_slip_on_paper_that_suffered_once(wear, dots, tmp_path):
    assert unread(worn_slips(ONE_BY_ONE[wear], range(1), dots), tmp_path) == []


@pytest.mark.parametrize("dots", [384, 576])
@pytest.mark.parametrize("wear", TOGETHER)
def test_both_decoders_read_every_slip_that_suffered_all_at_once(wear, dots, tmp_path):
    assert unread(worn_slips(TOGETHER[wear], range(1), dots, REAL_ADDRESSES), tmp_path) == []


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("dots", PAPERS)
@pytest.mark.parametrize("wear", [*ONE_BY_ONE, *TOGETHER])
def test_both_decoders_read_30_slips_more_of_each_kind(wear, dots, tmp_path):
    addresses = ADDRESSES if wear in ONE_BY_ONE else REAL_ADDRESSES
    worn = worn_slips((ONE_BY_ONE | TOGETHER)[wear], range(100, 105), dots, addresses)
    assert unread(worn, tmp_path) == []


@pytest.mark.parametrize("dots", PAPERS)
def test_in_poor_light_zxing_still_reads(dots):
    """zbar takes grain for edges and is only held to a third of it."""
    for url, picture in slips(2, dots):
        assert decoders.zxing(grainy(picture)) == [url]


@pytest.mark.parametrize("dots", [384, 576])
@pytest.mark.parametrize("model", ["TM-T20III", "generic-80"])
def test_both_decoders_read_the_code_out_of_the_printers_own_bytes(model, dots, tmp_path):
    profile = printer_profiles.find(model)
    pages = [(url, printed(escpos.slip(picture, profile, b"a1b2"))[0]) for url, picture in slips(3, dots)]
    assert unread(pages, tmp_path) == []


@pytest.mark.parametrize("dots", [360, 384])
def test_the_finest_code_that_the_paper_takes_is_read_while_blur_is_under_half_a_module(dots, tmp_path):
    longest = longest_address(dots)
    assert 200 < longest < 600
    wears = [wear for name, wear in ONE_BY_ONE.items() if name != "blur"]
    wears.append(lambda picture: blurred(picture, BLUR_DOTS * 0.6))
    pages = [(url, wear(picture)) for url, picture in slips(4, dots, (longest,)) for wear in wears]
    assert unread(pages, tmp_path) == []


def longest_address(dots: int) -> int:
    return bisect.bisect_left(range(900), 1, lo=12, key=lambda characters: too_long(characters, dots)) - 1


def too_long(characters: int, dots: int) -> bool:
    try:
        symbol(link(characters, random.Random(1)), dots)
    except PaperTooNarrowError:
        return True
    return False


@pytest.mark.parametrize("dots", PAPERS)
def test_a_module_is_never_under_half_a_millimetre(dots):
    per_mm = {360: 180 / 25.4, 512: 180 / 25.4}.get(dots, 8.0)
    for url, _ in slips(5, dots):
        picture, quiet = symbol(url, dots)
        assert quiet % 4 == 0
        assert quiet / 4 / per_mm >= 0.5
        assert picture.width + 2 * quiet <= dots


def test_every_code_corrects_a_sixth_of_its_codewords():
    """Level M, as the decoder reads it from the code itself."""
    for dots in PAPERS:
        for _, picture in slips(6, dots):
            (code,) = zxingcpp.read_barcodes(picture.convert("L"), formats=zxingcpp.BarcodeFormat.QRCode)
            assert code.ec_level in ("M", "Q", "H")


def test_an_address_is_as_long_as_asked():
    dice = random.Random(1)
    assert [len(public_url(characters, dice)) for characters in (12, 40, 150)] == [12, 40, 150]


def test_a_code_without_its_upper_half_is_read_by_nobody(tmp_path):
    url, picture = next(iter(slips(7, 384)))
    picture.paste(1, (0, 0, 384, picture.height // 3))
    assert len(unread([(url, picture)], tmp_path)) == 2
