"""Multipart bodies cut into parts, whatever pieces they arrive in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import FormatError
from appliance.formats.multipart import BOUNDARY_MAX, HEADERS_BYTES_MAX, Edge, MultipartReader

BOUNDARY = b"=_b"
HEADERS = b"Content-Type: application/dicom\r\n"


def body(*parts: bytes, headers: bytes = HEADERS) -> bytes:
    return b"".join(b"\r\n--=_b\r\n" + headers + b"\r\n" + part for part in parts)[2:] + b"\r\n--=_b--\r\n"


def parts(*pieces: bytes) -> list[bytes]:
    """What was found in a body that arrives in these pieces; the last one is None-free only if it ended."""
    reader, found, inside = MultipartReader(BOUNDARY), [], False
    for piece in pieces:
        for event in reader.receive(piece):
            if event is Edge.BEGUN:
                assert not inside
                found.append(b"")
                inside = True
            elif event is Edge.ENDED:
                assert inside
                inside = False
            else:
                assert inside
                assert len(event) > 0
                found[-1] += event
    reader.finish()
    assert not inside
    return found


def cut(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\r\n--=_", b"\r\n--=_bb", b"\r\r\n--=", b"--=_b"])))
def test_what_was_put_in_comes_out_byte_by_byte(contents):
    whole = body(*contents) if contents else b"--=_b--"
    assert parts(*cut(whole, 1)) == contents


@given(st.lists(st.binary(max_size=60), min_size=1), st.integers(1, 70))
def test_the_pieces_in_which_a_body_arrives_make_no_difference(contents, step):
    assert parts(*cut(body(*contents), step)) == contents


def test_a_longer_boundary_is_another_and_so_part_of_the_part():
    inner = b"before\r\n--=_bx\r\nContent-Type: text/plain\r\n\r\nafter\r\n--=_b-\r\n"
    assert parts(body(inner)) == [inner]


def test_padding_behind_a_boundary_is_ignored():
    assert parts(b"--=_b \t\r\n\r\none\r\n--=_b  \r\n\r\ntwo\r\n--=_b--  \r\n") == [b"one", b"two"]


def test_endless_padding_is_no_boundary():
    assert parts(body(b"a\r\n--=_b" + b" " * 200)) == [b"a\r\n--=_b" + b" " * 200]


def test_a_part_may_have_no_headers():
    assert parts(body(b"one", b"two", headers=b"")) == [b"one", b"two"]


def test_what_stands_before_the_first_boundary_and_behind_the_last_is_no_part():
    assert parts(b"a preamble\r\n" + body(b"one") + b"an epilogue\r\n--=_b\r\n\r\nno part") == [b"one"]


@pytest.mark.parametrize("cut_off", [1, 5, 12, 30])
def test_a_body_that_breaks_off_is_told_from_one_that_ends(cut_off):
    whole = body(b"0123456789").rstrip(b"\r\n")
    with pytest.raises(FormatError, match="breaks off"):
        parts(whole[:-cut_off])


def test_a_part_that_breaks_off_never_ends():
    reader = MultipartReader(BOUNDARY)
    assert Edge.ENDED not in list(reader.receive(body(b"0123456789")[:-9]))


def test_headers_without_an_end_are_not_kept():
    with pytest.raises(FormatError, match="headers"):
        parts(*cut(b"--=_b\r\n" + b"X: y\r\n" * HEADERS_BYTES_MAX, 1000))


def test_little_is_held_of_a_large_part():
    reader = MultipartReader(BOUNDARY)
    list(reader.receive(b"--=_b\r\n\r\n"))
    for _ in range(100):
        list(reader.receive(b"\r\n--=_" * 10_000))
        assert len(reader._held) < 100


@pytest.mark.parametrize("boundary", [b"", b"x" * (BOUNDARY_MAX + 1)])
def test_a_boundary_has_a_length(boundary):
    with pytest.raises(FormatError):
        MultipartReader(boundary)
