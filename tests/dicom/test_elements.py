"""Small datasets: what pydicom writes is read, what is written pydicom reads, and what lies does no harm."""

from __future__ import annotations

import re
import struct
import time
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset

from appliance.dicom import elements, tags
from appliance.dicom.dimse import Status
from appliance.dicom.elements import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_ITEMS,
    DatasetError,
    InvalidArgumentError,
    InvalidValueError,
    MissingAttributeError,
    MissingValueError,
    TooManyError,
    UnreadableError,
    read,
    write,
)
from appliance.dicom.negotiation import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.dicom.datasets import CT, SYNTAXES, decode, encode, made, reference, undefined_lengths

NAMES = {tag: name for name, tag in vars(tags).items() if isinstance(tag, int)}


@pytest.mark.parametrize("tag", tags.VRS, ids=lambda tag: NAMES[tag])
def test_every_tag_has_the_name_and_the_vr_of_the_standard(tag: int) -> None:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", keyword_for_tag(tag)).upper()
    assert (NAMES[tag], tags.VRS[tag]) == (words, dictionary_VR(tag))


# -- reading -----------------------------------------------------------------------------------------------------------


def notification() -> Dataset:
    """All kinds of values, three sequences deep, among attributes that the box does not know."""
    instances = [reference("1.2.3"), reference("1.2.34")]
    for number, instance in enumerate(instances):
        instance.RetrieveAETitle = ["PACS", "BACKUP"]
        instance.FailureReason = number
        instance.PurposeOfReferenceCodeSequence = [made(CodeValue="x")]
    series = made(SeriesInstanceUID="1.2.5", Modality="CT", ReferencedSOPSequence=instances)
    return made(
        InstitutionName="Klinik",
        ReferencedSeriesSequence=[series],
        PatientID=" 12\\34 ",
        StudyInstanceUID="1.2.6",
        NumberOfCopies="2",
        PixelPaddingValue=None,
        LabelText="x" * 70_000,
    )


def check(data: bytes, syntax: str) -> None:
    found = read(data, syntax)
    assert (found.text(tags.PATIENT_ID), found.uid(tags.STUDY_INSTANCE_UID)) == ("12\\34", "1.2.6")
    assert found.number(tags.NUMBER_OF_COPIES, 1) == 2
    (series,) = found.items(tags.REFERENCED_SERIES_SEQUENCE)
    assert series.uid(tags.SERIES_INSTANCE_UID) == "1.2.5"
    instances = series.items(tags.REFERENCED_SOP_SEQUENCE)
    assert elements.references(instances) == ((CT, "1.2.3"), (CT, "1.2.34"))
    assert [one.texts(tags.RETRIEVE_AE_TITLE) for one in instances] == [("PACS", "BACKUP")] * 2
    assert [one.number(tags.FAILURE_REASON, 9) for one in instances] == [0, 1]
    assert len(found.text(tags.LABEL_TEXT)) == elements.TEXT_MOST
    assert 0x00080080 not in found


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_pydicom_writes_is_read(syntax: str) -> None:
    check(encode(notification(), syntax), syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_sequences_and_items_of_undefined_length_are_read(syntax: str) -> None:
    check(encode(undefined_lengths(notification()), syntax), syntax)


@pytest.mark.parametrize("length", ["defined", "undefined"])
@pytest.mark.parametrize("syntax", [EXPLICIT_LE, EXPLICIT_BE])
def test_a_sequence_written_as_un_holds_implicit_little_endian(syntax: str, length: str) -> None:
    order = ">" if syntax == EXPLICIT_BE else "<"
    inner = made(ReferencedSOPSequence=[reference("1.2.3")])
    items = encode(undefined_lengths(inner) if length == "undefined" else inner, IMPLICIT_LE)[8:]
    size = 0xFFFFFFFF if length == "undefined" else len(items)
    data = struct.pack(order + "HH2sxxI", 0x0008, 0x1199, b"UN", size) + items
    assert elements.references(read(data, syntax).items(tags.REFERENCED_SOP_SEQUENCE)) == ((CT, "1.2.3"),)


def test_nothing_is_an_empty_dataset() -> None:
    found = read(b"", IMPLICIT_LE)
    assert (found.text(tags.PATIENT_ID), found.texts(tags.RETRIEVE_AE_TITLE)) == ("", ())
    assert (found.items(tags.REFERENCED_SOP_SEQUENCE), found.number(tags.NUMBER_OF_COPIES, 7)) == ((), 7)


@pytest.mark.parametrize(
    ("character_set", "written", "text"),
    [
        (None, b"Mueller ", "Mueller"),
        (None, b"M\xfcller", "M\ufffdller"),
        ("ISO_IR 100", b"M\xfcller\0", "Müller"),
        ("ISO_IR 192", "Γιώργος".encode(), "Γιώργος"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        ("ISO_IR 100", b"one\r\ntwo \xfc", "one two ü"),
    ],
)
def test_texts_are_decoded_by_their_character_set(character_set: str | None, written: bytes, text: str) -> None:
    dataset = made(LabelText=b"")
    if character_set is not None:
        dataset.SpecificCharacterSet = character_set.split("\\")
    dataset[0x22000002].value = written + b" " * (len(written) % 2)
    assert read(encode(dataset), EXPLICIT_LE).text(tags.LABEL_TEXT) == text


def test_an_item_has_the_character_set_of_what_holds_it_unless_it_has_its_own() -> None:
    with_own = made(
        SpecificCharacterSet="ISO_IR 192", CodeMeaning="ä", ReferencedSeriesSequence=[made(CodeMeaning="ö")]
    )
    dataset = made(SpecificCharacterSet="ISO_IR 100", ReferencedSeriesSequence=[made(CodeMeaning="ü"), with_own])
    inherits, own = read(encode(dataset), EXPLICIT_LE).items(tags.REFERENCED_SERIES_SEQUENCE)
    (deeper,) = own.items(tags.REFERENCED_SERIES_SEQUENCE)
    assert [one.text(tags.CODE_MEANING) for one in (inherits, own, deeper)] == ["ü", "ä", "ö"]


def test_a_delimiter_of_a_name_ends_the_reach_of_an_escape_sequence() -> None:
    written = b"\x1b$)C\xfb\xf3^\xd1\xce "
    parts = ((0x0008, 0x0005, b"\\ISO 2022 IR 149"), (0x0010, 0x0010, written), (0x2200, 0x0002, written))
    data = b"".join(struct.pack("<HHI", group, number, len(value)) + value for group, number, value in parts)
    found = read(data, IMPLICIT_LE)
    assert (found.text(tags.PATIENT_NAME), found.text(tags.LABEL_TEXT)) == ("洪^\ufffd\ufffd", "洪^吉")


@pytest.mark.parametrize("vr", [b"\0\0", b"??", b"sq", b"U1"])
def test_an_element_without_a_vr_is_refused_where_each_has_one(vr: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(struct.pack("<HH2sHI", 0x0009, 0x0010, vr, 0, 0), EXPLICIT_LE)


@pytest.mark.parametrize("written", [b"PACS\x1b[2J", b"PACS\x00\x07", b"\nPACS\r"])
def test_no_control_character_survives_in_a_code(written: bytes) -> None:
    data = struct.pack("<HH2sH", 0x0008, 0x0054, b"AE", len(written)) + written
    assert read(data, EXPLICIT_LE).text(tags.RETRIEVE_AE_TITLE).isprintable()


WRONG: dict[str, tuple[dict[str, Any], str, int, type[DatasetError], Status]] = {
    "no UID": ({}, "required_uid", tags.STUDY_INSTANCE_UID, MissingAttributeError, Status.MISSING_ATTRIBUTE),
    "an empty UID": (
        {"StudyInstanceUID": ""},
        "required_uid",
        tags.STUDY_INSTANCE_UID,
        MissingValueError,
        Status.MISSING_ATTRIBUTE_VALUE,
    ),
    "a UID that is text": (
        {"StudyInstanceUID": "1.2.x"},
        "uid",
        tags.STUDY_INSTANCE_UID,
        InvalidValueError,
        Status.INVALID_ATTRIBUTE_VALUE,
    ),
    "a UID that is too long": (
        {"StudyInstanceUID": "1" * 65},
        "uid",
        tags.STUDY_INSTANCE_UID,
        InvalidValueError,
        Status.INVALID_ATTRIBUTE_VALUE,
    ),
    "no text": ({}, "required_text", tags.RECEIVING_AE, MissingAttributeError, Status.MISSING_ATTRIBUTE),
    "no items": (
        {"ReferencedSOPSequence": []},
        "required_items",
        tags.REFERENCED_SOP_SEQUENCE,
        MissingValueError,
        Status.MISSING_ATTRIBUTE_VALUE,
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_missing_or_wrong_says_which_and_how_to_answer(case: str) -> None:
    values, asked, tag, error, status = WRONG[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read(encode(made(**values)), EXPLICIT_LE)
    with pytest.raises(error, match=re.escape(f"({tag >> 16:04X},{tag & 0xFFFF:04X})")) as raised:
        getattr(found, asked)(tag)
    assert raised.value.status == status


@pytest.mark.parametrize("written", [b"two ", b"1.5 ", b"1" * 14, b"\xb2 ", b"0x1 "])
def test_a_number_that_is_none_is_refused(written: bytes) -> None:
    data = struct.pack("<HH2sH", 0x2000, 0x0010, b"IS", len(written)) + written
    with pytest.raises(InvalidValueError):
        read(data, EXPLICIT_LE).number(tags.NUMBER_OF_COPIES, 1)


def test_a_binary_number_of_another_size_is_refused() -> None:
    data = struct.pack("<HH2sHI", 0x0008, 0x1197, b"US", 4, 1)
    with pytest.raises(InvalidValueError):
        read(data, EXPLICIT_LE).number(tags.FAILURE_REASON, 1)


def test_what_an_action_lacks_is_an_argument() -> None:
    with pytest.raises(InvalidArgumentError) as raised, elements.arguments():
        read(b"", EXPLICIT_LE).required_text(tags.RECEIVING_AE)
    assert raised.value.status == 0x0115


def test_a_text_where_a_sequence_belongs_is_refused() -> None:
    with pytest.raises(UnreadableError):
        read(struct.pack("<HH2sH", 0x0008, 0x1199, b"LO", 4) + b"text", EXPLICIT_LE)


def test_a_sequence_where_a_text_belongs_is_no_text() -> None:
    items = encode(made(ReferencedSOPSequence=[reference("1.2")]))[12:]
    data = struct.pack("<HH2sxxI", 0x0010, 0x0020, b"SQ", 0xFFFFFFFF) + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    assert read(data, EXPLICIT_LE).text(tags.PATIENT_ID) == ""


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_dataset_cut_anywhere_is_read_up_to_there_or_refused(syntax: str, undefined: bool) -> None:
    dataset = without_text(notification())
    data = encode(undefined_lengths(dataset) if undefined else dataset, syntax)
    whole = 0
    for size in range(len(data)):
        try:
            found = read(data[:size], syntax)
        except UnreadableError:
            continue
        assert set(found.found) <= set(read(data, syntax).found)
        whole += 1
    assert whole < 10  # between two elements only


def without_text(dataset: Dataset) -> Dataset:
    del dataset.LabelText
    return dataset


# -- bounds ------------------------------------------------------------------------------------------------------------

ITEM, ITEM_END, SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD


def nested(levels: int) -> bytes:
    start = struct.pack("<HHI", 0x0008, 0x1199, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, ITEM, 0xFFFFFFFF)
    return start * levels + struct.pack("<HHIHHI", 0xFFFE, ITEM_END, 0, 0xFFFE, SEQUENCE_END, 0) * levels


def test_sequences_of_a_sensible_depth_are_read_and_deeper_ones_are_not() -> None:
    read(nested(MAX_DEPTH), IMPLICIT_LE)
    for levels in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(UnreadableError):
            read(nested(levels), IMPLICIT_LE)


def sequence(items: int, item: bytes) -> bytes:
    body = (struct.pack("<HHI", 0xFFFE, ITEM, len(item)) + item) * items
    return struct.pack("<HHI", 0x0008, 0x1199, len(body)) + body


def test_more_items_than_a_study_has_images_are_refused() -> None:
    assert len(read(sequence(MAX_ITEMS, b""), IMPLICIT_LE).items(tags.REFERENCED_SOP_SEQUENCE)) == MAX_ITEMS
    with pytest.raises(TooManyError):
        read(sequence(MAX_ITEMS + 1, b""), IMPLICIT_LE)


def test_the_items_of_several_sequences_are_counted_together() -> None:
    with pytest.raises(TooManyError):
        read(sequence(MAX_ITEMS // 2 + 1, b"") * 2, IMPLICIT_LE)


def test_more_elements_than_the_box_reads_in_one_go_are_refused() -> None:
    element = struct.pack("<HHI", 0x0009, 0x0010, 0)
    read(element * MAX_ELEMENTS, IMPLICIT_LE)
    with pytest.raises(TooManyError):
        read(element * (MAX_ELEMENTS + 1), IMPLICIT_LE)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_request_of_as_many_references_as_the_box_takes_is_read_in_a_moment(syntax: str) -> None:
    items = [
        {
            tags.REFERENCED_SOP_CLASS_UID: CT,
            tags.REFERENCED_SOP_INSTANCE_UID: f"1.2.826.0.1.3680043.10.1733.{number}",
            tags.RETRIEVE_AE_TITLE: "PACS",
            tags.INSTANCE_AVAILABILITY: "ONLINE",
        }
        for number in range(MAX_ITEMS)
    ]
    data = write({tags.REFERENCED_SOP_SEQUENCE: items}, syntax)
    started = time.process_time()
    found = elements.references(read(data, syntax).items(tags.REFERENCED_SOP_SEQUENCE))
    assert time.process_time() - started < 1.0  # 0.1 s on the machine where this was written
    assert len(found) == MAX_ITEMS


# -- writing -----------------------------------------------------------------------------------------------------------

WRITTEN: elements.Elements = {
    tags.PATIENT_ID: "123",
    tags.FAILED_SOP_SEQUENCE: [
        {**elements.reference(elements.Reference(CT, "1.2.3")), tags.FAILURE_REASON: 0x0112},
        {},
    ],
    tags.TRANSACTION_UID: "1.2.345",
    tags.NUMBER_OF_COPIES: 10,
    tags.LABEL_TEXT: "x" * 70_001,
    tags.REFERENCED_STORAGE_MEDIA_SEQUENCE: [],
}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_written_is_byte_for_byte_what_pydicom_would_write(syntax: str) -> None:
    data = write(WRITTEN, syntax)
    found = decode(data, syntax)
    assert len(list(found.iterall())) == 9  # now they are values, which pydicom writes anew
    assert encode(found, syntax) == data
    assert (found.PatientID, found.TransactionUID, found.NumberOfCopies) == ("123", "1.2.345", 10)
    assert [item.get("FailureReason") for item in found.FailedSOPSequence] == [0x0112, None]
    assert len(found.ReferencedStorageMediaSequence) == 0


@pytest.mark.parametrize("where", ["at the top", "in an item"])
def test_what_is_not_ascii_goes_out_in_utf_8_and_says_so(where: str) -> None:
    values: elements.Elements = {tags.CODE_MEANING: "Drucker öffnen"}
    if where == "in an item":
        values = {tags.REFERENCED_SERIES_SEQUENCE: [values]}
    found = decode(write(values, EXPLICIT_LE), EXPLICIT_LE)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    inner = found if where == "at the top" else found.ReferencedSeriesSequence[0]
    assert inner.CodeMeaning == "Drucker öffnen"


def test_an_n_get_is_answered_with_what_it_asks_for() -> None:
    values: elements.Elements = {tags.PATIENT_ID: "1", tags.LABEL_TEXT: "x"}
    assert elements.chosen(values, ()) == values
    assert elements.chosen(values, (tags.PATIENT_ID, tags.REASON_FOR_CANCELLATION)) == {tags.PATIENT_ID: "1"}


TEXTS = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Cf", "Zl", "Zp"]), max_size=20).map(
    lambda text: text.strip(" ")
)
ITEMS: Any = st.recursive(
    st.fixed_dictionaries({}, optional={tags.CODE_MEANING: TEXTS, tags.SERIES_INSTANCE_UID: st.just("1.2.3")}),
    lambda inner: st.fixed_dictionaries({tags.REFERENCED_SOP_SEQUENCE: st.lists(inner, max_size=3)}),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(ITEMS, st.sampled_from(SYNTAXES))
def test_what_is_written_is_read_back(values: dict[int, Any], syntax: str) -> None:
    def back(item: elements.Item, of: dict[int, Any]) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for tag in of:
            if tags.VRS[tag] == "SQ":
                pairs = zip(item.items(tag), of[tag], strict=True)
                found[tag] = [back(one, written) for one, written in pairs]
            else:
                found[tag] = item.text(tag)
        return found

    assert back(read(write(values, syntax), syntax), values) == values


@settings(max_examples=600)
@given(st.sampled_from(SYNTAXES), st.integers(0, 400), st.binary(max_size=12), st.booleans())
def test_a_damaged_dataset_is_read_or_refused_and_nothing_else_goes_wrong(
    syntax: str, at: int, damage: bytes, undefined: bool
) -> None:
    dataset = without_text(notification())
    data = encode(undefined_lengths(dataset) if undefined else dataset, syntax)
    data = data[:at] + damage + data[at + len(damage) :]
    try:
        read(data, syntax)
    except DatasetError:
        return
