"""The header that makes a file of a dataset."""

from __future__ import annotations

import io
import warnings

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from appliance.errors import FormatError
from appliance.formats.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, header

CT, EXPLICIT_LE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def dataset_bytes() -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.PatientName = CT, "1.2.3", "Rivers^Ada"
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def test_pydicom_reads_back_what_the_header_says():
    file = pydicom.dcmread(io.BytesIO(header(CT, "1.2.3", EXPLICIT_LE) + dataset_bytes()))
    meta = file.file_meta
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.TransferSyntaxUID == EXPLICIT_LE
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.FileMetaInformationVersion == b"\x00\x01"
    assert file.PatientName == "Rivers^Ada"


def test_the_dataset_stands_in_the_file_bit_for_bit():
    plain = dataset_bytes()
    assert (header(CT, "1.2.3", EXPLICIT_LE) + plain).endswith(plain)


def test_the_preamble_holds_nothing_that_another_program_could_run():
    assert header(CT, "1.2.3", EXPLICIT_LE).startswith(bytes(128) + b"DICM")


def test_a_uid_that_no_file_could_hold_is_refused():
    with pytest.raises(FormatError):
        header(CT, "1" * 65535, EXPLICIT_LE)


UIDS = st.from_regex(r"(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){1,5}", fullmatch=True)


@given(UIDS, UIDS, UIDS)
def test_the_group_length_is_the_length_of_what_follows_whatever_the_uids(sop_class, uid, syntax):
    whole = header(sop_class, uid, syntax)
    assert whole[132:140] == b"\2\0\0\0UL\4\0"
    assert int.from_bytes(whole[140:144], "little") == len(whole) - 144
    meta = pydicom.dcmread(io.BytesIO(whole)).file_meta
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (sop_class, uid)
    assert meta.TransferSyntaxUID == syntax


@given(UIDS)
def test_every_value_has_an_even_length(uid):
    whole, position = header(CT, uid, EXPLICIT_LE), 132
    while position < len(whole):
        if whole[position + 4 : position + 6] == b"OB":
            length, position = int.from_bytes(whole[position + 8 : position + 12], "little"), position + 12
        else:
            length, position = int.from_bytes(whole[position + 6 : position + 8], "little"), position + 8
        assert length % 2 == 0
        position += length
    assert position == len(whole)


@pytest.mark.parametrize("uid", ["", "1." + "2" * 80, "1.2.3.é", "not a uid"])
def test_a_uid_that_is_none_still_gives_a_file_that_can_be_read(uid):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom says that the value is invalid, and so it is
        meta = pydicom.dcmread(io.BytesIO(header(CT, uid, EXPLICIT_LE))).file_meta
        assert meta.MediaStorageSOPInstanceUID == uid.replace("é", "?")
        assert meta.TransferSyntaxUID == EXPLICIT_LE
