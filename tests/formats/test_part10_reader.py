"""Heads of Part 10 files, read as they arrive."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import FormatError
from appliance.formats.part10 import header
from appliance.formats.part10_reader import HEAD_BYTES_MAX, FileMeta, Part10Reader
from tests.samples import all_samples, meta

CT, EXPLICIT_LE, BIG, DEFLATED = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
DATASET = b"\x08\0\x16\0UI\x1a\x00" + CT.encode() + b"\0" + b"the rest"


def element(number: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH", 2, number) + vr + struct.pack("<H", len(value)) + value


def read(data: bytes, step: int = 1 << 20) -> tuple[FileMeta | None, bytes]:
    """The meta information, and what is left as the dataset."""
    reader, dataset = Part10Reader(), b""
    for at in range(0, len(data), step):
        piece = memoryview(data)[at : at + step]
        dataset += piece if reader.meta else reader.receive(piece)
    return reader.meta, dataset


@given(st.integers(1, 400), st.sampled_from([DATASET, b"\0\x08\0\x16UI\0\x1a", b"\x08"]))
def test_the_dataset_is_what_follows_whatever_pieces_it_arrives_in(step, dataset):
    whole = header(CT, "1.2.3", BIG) + dataset + b"\0"
    assert read(whole, step) == (FileMeta(CT, "1.2.3", BIG), dataset + b"\0")


@given(st.binary(min_size=1, max_size=9), st.integers(1, 400))
def test_a_deflated_dataset_may_begin_with_any_bytes(start, step):
    dataset = b"\2\0" + start
    assert read(header(CT, "1.2.3", DEFLATED) + dataset, step) == (FileMeta(CT, "1.2.3", DEFLATED), dataset)


def test_real_files_are_cut_where_an_independent_reader_cuts_them():
    samples = [one for one in all_samples() if one.path.read_bytes()[128:132] == b"DICM"]
    assert len(samples) > 100
    for sample in samples:
        whole, known = sample.path.read_bytes(), meta(sample.path)
        found, dataset = read(whole, 5000)
        assert found == FileMeta(known.sop_class, known.sop_instance, known.transfer_syntax), sample.name
        assert dataset == whole[known.dataset_at :], sample.name


@pytest.mark.parametrize("wrong_by", [-20, -2, 2, 300])
def test_a_group_that_is_counted_wrong_ends_where_another_begins(wrong_by):
    whole = bytearray(header(CT, "1.2.3", EXPLICIT_LE) + DATASET)
    struct.pack_into("<I", whole, 140, struct.unpack_from("<I", whole, 140)[0] + wrong_by)
    assert read(bytes(whole)) == (FileMeta(CT, "1.2.3", EXPLICIT_LE), DATASET)


def test_a_group_without_a_length_is_read():
    whole = header(CT, "1.2.3", EXPLICIT_LE)
    assert read(whole[:132] + whole[144:] + DATASET) == (FileMeta(CT, "1.2.3", EXPLICIT_LE), DATASET)


def test_private_information_is_passed_over():
    private = b"\2\0\2\1OB\0\0" + struct.pack("<I", 5000) + bytes(5000)
    assert read(header(CT, "1.2.3", EXPLICIT_LE) + private + DATASET)[1] == DATASET


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04" + bytes(400),
        DATASET * 20,
        header(CT, "1.2.3", EXPLICIT_LE)[128:] + bytes(200),
        bytes(128) + b"DICM" + b"\2\0\x10\0\0\0\0\0" + DATASET,  # implicit VR
        bytes(128) + b"DICM" + DATASET,
        header(CT, "", EXPLICIT_LE) + DATASET,
        header(CT, "1.2.3", "no uid") + DATASET,
        header(CT, "1" * 200, EXPLICIT_LE) + DATASET,
    ],
    ids=["zip", "no head", "no preamble", "implicit VR", "no group 0002", "no instance", "no syntax", "long UID"],
)
def test_what_is_no_dicom_file_is_refused(data):
    with pytest.raises(FormatError):
        read(data)


@pytest.mark.parametrize("step", [7, 100_000])
def test_a_head_without_an_end_is_not_kept(step):
    endless = b"\2\0\2\1OB\0\0" + struct.pack("<I", 1 << 30) + bytes(HEAD_BYTES_MAX)
    with pytest.raises(FormatError, match="too long"):
        read(header(CT, "1.2.3", EXPLICIT_LE) + endless, step)
    many = element(0x0102, b"UI", b"1." * 30) * 2000
    with pytest.raises(FormatError, match="too long"):
        read(header(CT, "1.2.3", EXPLICIT_LE) + many, step)


def test_a_head_that_ends_in_no_time_before_its_limit_is_refused_too():
    """The limit falls into the middle of an element's header."""
    start = header(CT, "1.2.3", EXPLICIT_LE)
    private = HEAD_BYTES_MAX - 4 - len(start) - 12
    whole = start + b"\2\0\2\1OB\0\0" + struct.pack("<I", private) + bytes(private) + element(0x0103, b"UI", b"1.2")
    with pytest.raises(FormatError, match="too long"):
        read(whole)


@pytest.mark.parametrize("size", [0, 100, 132, 150, 300])
def test_a_head_that_breaks_off_has_no_meta(size):
    assert read(header(CT, "1.2.3", EXPLICIT_LE)[:size]) == (None, b"")
