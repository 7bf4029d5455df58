"""Frames of the spool's files, and receipts."""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import FormatError
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import (
    HEADER_BYTES,
    Arrival,
    FrameHeader,
    FrameType,
    Location,
    Receipt,
    decode_header,
    open_receipt,
    seal_receipt,
)

HEADER = FrameHeader(FrameType.PIECE, 7, bytes(range(16)), 3, 1 << 20)
HEADERS = st.builds(
    FrameHeader,
    st.sampled_from(FrameType),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
SEALER = Sealer(os.urandom(32))
ARRIVAL = Arrival("CT1", "SLIPWAY", "10.0.0.7", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "1.2.840.10008.1.2.1", 1.5e9)
RECEIPT = Receipt(
    bytes(range(16)), os.urandom(32), 2_000_000, os.urandom(16), (Location(1, 40, 1 << 20), Location(2, 0, 99)), ARRIVAL
)


@given(HEADERS, st.binary(max_size=20))
def test_a_header_comes_back_from_the_start_of_its_frame(header, payload):
    assert decode_header(header.encode() + payload) == header


@given(HEADERS)
def test_every_header_has_the_same_length(header):
    assert len(header.encode()) == HEADER_BYTES


def test_a_frame_is_on_the_disk_as_an_older_box_wrote_it():
    whole = (
        b"SLPf" + b"\1" + bytes(3) + (7).to_bytes(8, "big") + bytes(range(16)) + (3).to_bytes(4, "big") + b"\0\x10\0\0"
    )
    assert HEADER.encode() == whole + zlib.crc32(whole).to_bytes(4, "big")
    assert HEADER._replace(type=FrameType.RECEIPT).encode()[4] == 2


@pytest.mark.parametrize("size", range(HEADER_BYTES))
def test_a_header_torn_off_anywhere_is_the_end_of_what_was_written(size):
    assert decode_header(HEADER.encode()[:size]) is None
    assert decode_header(HEADER.encode()[:size] + bytes(HEADER_BYTES - size)) is None


@pytest.mark.parametrize("size", range(1, HEADER_BYTES))
def test_a_header_torn_between_two_frames_of_a_recycled_file_is_no_header(size):
    older = FrameHeader(FrameType.RECEIPT, 6, os.urandom(16), 0, 500)
    assert decode_header(HEADER.encode()[:size] + older.encode()[size:]) in (None, older)


def test_every_bit_of_a_header_counts():
    whole = HEADER.encode()
    for at in range(len(whole)):
        for bit in range(8):
            altered = bytearray(whole)
            altered[at] ^= 1 << bit
            assert decode_header(bytes(altered)) is None


@given(st.binary(max_size=100))
def test_random_bytes_are_no_header(value):
    assert decode_header(value) is None


def test_a_frame_of_a_type_that_this_box_does_not_know_is_no_header():
    assert decode_header(HEADER._replace(type=3).encode()) is None


# -- receipts ------------------------------------------------------------------------------------------------------

TEXT = st.text(max_size=20)
RECEIPTS = st.builds(
    Receipt,
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**40),
    st.binary(min_size=16, max_size=16),
    st.lists(st.builds(Location, *[st.integers(0, 2**60)] * 3), max_size=5).map(tuple),
    st.builds(Arrival, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, st.floats(0, 4e9)),
)


@given(RECEIPTS)
def test_a_receipt_comes_back(receipt):
    assert open_receipt(receipt.stream_id, seal_receipt(receipt, SEALER), SEALER) == receipt


def test_every_bit_of_a_receipt_counts():
    sealed = seal_receipt(RECEIPT, SEALER)
    for at in range(len(sealed)):
        for bit in range(8):
            altered = bytearray(sealed)
            altered[at] ^= 1 << bit
            with pytest.raises(FormatError):
                open_receipt(RECEIPT.stream_id, bytes(altered), SEALER)


def test_a_receipt_is_no_other_streams():
    with pytest.raises(FormatError):
        open_receipt(bytes(16), seal_receipt(RECEIPT, SEALER), SEALER)


def test_a_receipt_of_another_box_is_refused():
    with pytest.raises(FormatError):
        open_receipt(RECEIPT.stream_id, seal_receipt(RECEIPT, SEALER), Sealer(os.urandom(32)))


@pytest.mark.parametrize("size", [0, 1, 11, 12, 27, 28, 100])
def test_a_receipt_cut_short_is_refused(size):
    with pytest.raises(FormatError):
        open_receipt(RECEIPT.stream_id, seal_receipt(RECEIPT, SEALER)[:size], SEALER)


@pytest.mark.parametrize("value", [{}, [], {"key": "A", "size": 1, "fingerprint": "", "pieces": [], "arrival": []}])
def test_a_receipt_of_an_older_box_that_lacks_something_is_refused(value):
    sealed = SEALER.seal_json(b"receipt" + RECEIPT.stream_id, value)
    with pytest.raises(FormatError):
        open_receipt(RECEIPT.stream_id, sealed, SEALER)


def test_nothing_of_the_patient_can_be_read_in_a_sealed_receipt():
    sealed = seal_receipt(RECEIPT, SEALER)
    assert ARRIVAL.sop_instance_uid.encode() not in sealed
    assert RECEIPT.key not in sealed


def test_neither_key_nor_uid_is_in_a_printed_receipt():
    assert RECEIPT.key.hex() not in repr(RECEIPT)
    assert "1.2.3.4" not in repr(RECEIPT)
