from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from appliance.errors import FormatError
from appliance.formats import escpos, printer_profiles, slip_bitmap
from appliance.formats.escpos import Answers, AutomaticStatus, Cleared, PaperStatus, ProcessId, RealTimeStatus
from appliance.formats.slip_text import SlipFace
from tests import escpos_reader as reader

URL = "https://vault.example.org/#" + "A" * 67
HOSTILE = SlipFace(
    "\x1b@\x1dV\x00 \x10\x04\x01",
    URL,
    "K7\x1bp",
    "\x1dv0",
    "\x1b",
    datetime(2027, 1, 28, tzinfo=UTC),
    phone="\x1d(A\x10\x14\x08",
)
CUTTING = printer_profiles.find("TM-T20II")
TEARING = printer_profiles.find("generic-58")


def job(profile, paper_mm=80, face=HOSTILE, process_id=b"0001"):
    picture = slip_bitmap.render(face, profile.dots(paper_mm))
    return picture, escpos.slip(picture, profile, process_id)


def commands(data):
    return [command for command, _ in reader.Interpreter().feed(data)]


@pytest.mark.parametrize(("profile", "paper_mm"), [(CUTTING, 80), (CUTTING, 58), (TEARING, 58)])
def test_the_paper_shows_the_picture_dot_for_dot(profile, paper_mm):
    picture, data = job(profile, paper_mm)
    (printed,) = reader.slips(data)
    assert printed.crop((0, 0, *picture.size)).tobytes() == picture.tobytes()
    assert reader.decode_qr(printed) == URL


def test_a_job_begins_with_a_clean_printer():
    assert job(CUTTING)[1].startswith(b"\x1b@")


def test_no_text_of_a_slip_reaches_the_printer_as_a_command():
    kinds = {type(command) for command in commands(job(CUTTING)[1])}
    assert kinds == {
        reader.Initialise,
        reader.AutomaticStatus,
        reader.Raster,
        reader.Cut,
        reader.ProcessIdRequest,
    }


@pytest.mark.parametrize("command", [b"\x10\x04\x01", b"\x10\x05\x02", b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08"])
def test_dots_that_would_be_a_command_which_printers_obey_in_the_middle_of_a_picture_are_not_sent(command):
    dots = command.ljust(TEARING.dots_58 // 8 * 3, b"\x00")
    picture = Image.frombytes("1", (TEARING.dots_58, 3), bytes(byte ^ 0xFF for byte in dots))
    data = escpos.slip(picture, TEARING, b"0001")
    assert command[:2] not in data
    (printed,) = reader.slips(data)
    differing = ImageChops.difference(printed.crop((0, 0, *picture.size)).convert("L"), picture.convert("L"))
    assert np.count_nonzero(np.asarray(differing)) <= 2


def test_automatic_status_is_switched_on_behind_the_command_that_switches_it_off():
    first, second, *_ = commands(job(CUTTING)[1])
    assert (first, second) == (reader.Initialise(), reader.AutomaticStatus(0x0E))


def test_a_model_that_tells_nothing_by_itself_is_not_asked_to():
    assert not any(isinstance(command, reader.AutomaticStatus) for command in commands(job(TEARING, 58)[1]))


def test_zeros_end_a_picture_that_broke_off_and_are_nothing_elsewhere():
    _, data = job(TEARING, 58)
    for broken_off in (data[:7], data[:11], data[:5000], data):
        tail = list(reader.Interpreter().feed(broken_off + escpos.end_unfinished() + data))
        assert [raw for _, raw in tail][-len(commands(data)) :] == [raw for _, raw in reader.Interpreter().feed(data)]


def test_no_strip_is_longer_than_8_kib():
    for profile, paper_mm in ((CUTTING, 80), (TEARING, 58)):
        lengths = [len(raw) for command, raw in reader.Interpreter().feed(job(profile, paper_mm)[1])]
        assert max(lengths) <= 8192


def test_the_question_whether_it_has_printed_comes_last_of_all():
    assert commands(job(CUTTING, process_id=b"ab~ ")[1])[-1] == reader.ProcessIdRequest(b"ab~ ")
    assert job(CUTTING, process_id=b"ab~ ")[1].endswith(bytes.fromhex("1d 28 48 06 00 30 30") + b"ab~ ")


def test_a_printer_that_cannot_answer_is_not_asked():
    assert not any(isinstance(command, reader.ProcessIdRequest) for command in commands(job(TEARING, 58)[1]))


def test_a_printer_without_a_cutter_feeds_the_slip_out():
    assert isinstance(commands(job(TEARING, 58)[1])[-1], reader.Feed)


@pytest.mark.parametrize("wrong", [b"", b"123", b"12345", b"12\x003", b"12\x7f3", "123é".encode("latin-1")])
def test_a_process_id_that_the_printer_would_not_take_is_refused(wrong):
    with pytest.raises(FormatError):
        escpos.request_process_id(wrong)


def test_a_model_outside_our_table_prints_through_the_librarys_database():
    profile = printer_profiles.find("ZJ-5870")
    _, data = job(profile, 58)
    assert reader.decode_qr(reader.slips(data)[0]) == URL
    assert profile.confirmation == "status"


def test_loading_the_library_adds_no_second_log_line_and_leaves_no_folder(tmp_path):
    script = "import logging; from appliance.formats import escpos; escpos.library(); print(logging.root.handlers)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": "."},
        check=True,
    )
    assert run.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


# Answers

STATUS = RealTimeStatus(0x12)
CLEARED = b"\x37\x25\x00"
FRAME = bytes.fromhex("10 00 00 0f")


def test_a_process_id_is_recognised_whatever_pieces_it_comes_in():
    answers = Answers()
    heard = [answer for byte in b"\x37\x22AB 7\x00" for answer in answers.feed(bytes([byte]))]
    assert heard == [ProcessId(b"AB 7")]


def test_frames_that_come_unasked_do_not_hide_an_answer():
    heard = Answers().feed(FRAME + b"\x12" + FRAME + b"\x37\x220001\x00" + FRAME)
    assert heard == [AutomaticStatus(FRAME), STATUS, AutomaticStatus(FRAME), ProcessId(b"0001"), AutomaticStatus(FRAME)]


def test_what_only_begins_like_a_frame_is_dropped_and_the_answer_behind_it_is_heard():
    for noise in (b"\x10", b"\x10\x00", b"\x10\x00\x00"):
        assert STATUS in Answers().feed(noise + b"\x12")


def test_line_noise_and_flow_control_are_dropped():
    assert Answers().feed(b"\xff\x11\x13\x80\x12") == [STATUS]


def test_a_block_that_never_ends_does_not_swallow_what_follows_it():
    heard = Answers().feed(b"\x37" + b"\x91" * 100 + b"\x12")
    assert heard == [STATUS]


def test_another_block_is_not_taken_for_a_process_id():
    assert Answers().feed(b"\x37\x230001\x00" + b"\x12") == [STATUS]
    assert Answers().feed(b"\x37\x2200010\x00" + b"\x12") == [STATUS]


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_whatever_a_printer_sends_is_read_without_an_error_and_without_hoarding(pieces):
    answers = Answers()
    for piece in pieces:
        answers.feed(piece)
    assert len(answers._held) < escpos.LONGEST_BLOCK


@given(st.binary(max_size=60), st.integers(0, 60))
def test_how_a_stream_is_cut_does_not_change_what_it_says(stream, at):
    whole, parts = Answers(), Answers()
    assert whole.feed(stream) == parts.feed(stream[:at]) + parts.feed(stream[at:])


@pytest.mark.parametrize(
    ("byte", "facts"),
    [
        (0x12, set()),
        (0x1A, {"offline", "cutter_error"}),
        (0x16, {"cover_open"}),
        (0x32, {"stopped_by_paper_end", "unrecoverable_error", "paper_end"}),
        (0x52, {"error", "paper_end"}),
        (0x1E, {"offline", "cover_open", "cutter_error", "paper_near_end"}),
        (0x72, {"stopped_by_paper_end", "error", "unrecoverable_error", "paper_end"}),
    ],
)
def test_the_bits_of_a_status_mean_what_the_manual_says(byte, facts):
    """The same bit means one thing in the answer to each of the four questions; the reader knows which it asked."""
    names = [
        "offline",
        "cover_open",
        "stopped_by_paper_end",
        "error",
        "cutter_error",
        "unrecoverable_error",
        "paper_end",
    ]
    told = {name for name in names if getattr(RealTimeStatus(byte), name)}
    assert told == facts - {"paper_near_end"}


@pytest.mark.parametrize(("byte", "pressed"), [(0x12, False), (0x1A, False), (0x52, True), (0x5A, True)])
def test_the_printer_tells_of_its_feed_button(byte, pressed):
    """DLE EOT 1, bit 6."""
    assert RealTimeStatus(byte).feed_button is pressed


@pytest.mark.parametrize(("byte", "near", "end"), [(0x00, False, False), (0x03, True, False), (0x0C, False, True)])
def test_the_paper_status_in_its_turn(byte, near, end):
    (answer,) = Answers().feed(bytes([byte]))
    assert answer == PaperStatus(byte)
    assert (answer.paper_near_end, answer.paper_end) == (near, end)


@pytest.mark.parametrize(
    ("frame", "facts"),
    [
        ("10 00 00 0f", set()),
        ("18 00 00 0f", {"offline"}),
        ("38 00 0c 0f", {"offline", "cover_open", "paper_end"}),
        ("10 00 03 0f", {"paper_near_end"}),
        ("18 08 00 0f", {"offline", "cutter_error"}),
        ("18 20 00 0f", {"offline", "unrecoverable_error"}),
        ("18 40 00 0f", {"offline", "error"}),
        ("18 04 00 0f", {"offline", "error"}),
    ],
)
def test_an_automatic_status_tells_what_the_manual_says(frame, facts):
    (answer,) = Answers().feed(bytes.fromhex(frame))
    names = ("offline", "cover_open", "cutter_error", "unrecoverable_error", "error", "paper_near_end", "paper_end")
    assert {name for name in names if getattr(answer, name)} == facts


def test_the_word_that_the_buffer_is_cleared_is_heard_amid_others():
    assert Answers().feed(FRAME + CLEARED + b"\x12") == [AutomaticStatus(FRAME), Cleared(), STATUS]


def test_a_picture_wider_than_the_line_is_an_error_not_a_garbled_slip():
    picture, _ = job(CUTTING)
    with pytest.raises(FormatError, match="wider"):
        escpos.slip(picture, replace(CUTTING, dots_80=384, dots_58=384), b"0001")


@pytest.mark.parametrize("density", [-6, -1, 1, 8])
def test_a_density_is_told_after_the_reset_and_before_the_picture(density):
    first, _, third, *_ = commands(job(printer_profiles.find("TM-L90", density))[1])
    assert first == reader.Initialise()
    assert third == reader.Density(density)


def test_without_a_density_the_printers_own_stays():
    assert not any(isinstance(one, reader.Density) for one in commands(job(printer_profiles.find("TM-L90"))[1]))
