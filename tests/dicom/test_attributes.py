"""The head reader against pydicom's reading of real files, and against everything that is not a dataset."""

from __future__ import annotations

import struct
import time
import warnings
import zlib
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.dicom import attributes, dataset_head
from appliance.dicom.attributes import Attributes, read_attributes
from tests.samples import all_samples, dataset_bytes

PACKAGES = Path(pydicom.__file__).parent.parent
FOLDERS = [PACKAGES / "pydicom/data", PACKAGES / "data_store/data", PACKAGES / "pynetdicom/tests"]
NOT_DICOM = {".py", ".pyc", ".json", ".txt", ".md", ".zip", ".gz", ".icc"}

IMPLICIT, LITTLE, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
TEXTS = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "study_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "sop_class_uid": "SOPClassUID",
    "sop_instance_uid": "SOPInstanceUID",
    "accession_number": "AccessionNumber",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "study_description": "StudyDescription",
    "series_description": "SeriesDescription",
    "modality": "Modality",
}
NUMBERS = {
    "series_number": "SeriesNumber",
    "instance_number": "InstanceNumber",
    "rows": "Rows",
    "columns": "Columns",
    "frames": "NumberOfFrames",
}

# What pydicom passes on as it is, and we do not: files made wrong on purpose.
KNOWN_BAD = {
    "bad_sequence.dcm": ({"sop_instance_uid", "study_uid", "series_uid"}, attributes.BAD_UID),
    "badVR.dcm": ({"frames"}, attributes.BAD_NUMBER),
    "winter.dcm": (set(), dataset_head.DISORDERED),
}


def real_files() -> list[Path]:
    files = [path for folder in FOLDERS for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in files if path.suffix not in NOT_DICOM]


def meta_end(raw: bytes) -> int:
    """Where the dataset starts: after group 0002, if there is one."""
    at = 132 if raw[128:132] == b"DICM" else 0
    while raw[at : at + 2] == b"\x02\0":
        long = raw[at + 4 : at + 6] in (b"OB", b"UN")
        at += 12 + struct.unpack_from("<I", raw, at + 8)[0] if long else 8 + struct.unpack_from("<H", raw, at + 6)[0]
    return at


def read_whole(dataset: bytes, transfer_syntax: str = LITTLE) -> Attributes:
    return read_attributes(dataset, transfer_syntax, whole=True)


def test_every_real_file_reads_as_pydicom_reads_it() -> None:
    compared = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about these files
        for path in real_files():
            compared += 1
            differing, problem = KNOWN_BAD.get(path.name, (set(), ""))
            theirs = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            ours = read_real(path, theirs)
            assert ours.problem == problem, path.name
            assert differences(ours, theirs) == differing, path.name
    assert compared > 250


def read_real(path: Path, theirs: pydicom.Dataset) -> Attributes:
    raw = path.read_bytes()
    start = meta_end(raw)
    implicit, little = theirs.original_encoding
    declared = theirs.file_meta.get("TransferSyntaxUID") or (IMPLICIT if implicit else LITTLE if little else BIG)
    head = memoryview(raw)[start : start + attributes.HEAD_BYTES_MAX]
    return read_attributes(head, str(declared), whole=start + len(head) == len(raw))


def differences(ours: Attributes, theirs: pydicom.Dataset) -> set[str]:
    # pydicom drops empty groups at the end of a name; we keep what was sent.
    texts = {f for f, keyword in TEXTS.items() if getattr(ours, f).rstrip("=") != text_of(theirs.get(keyword))}
    return texts | {f for f, keyword in NUMBERS.items() if getattr(ours, f) != (theirs.get(keyword) or f == "frames")}


def text_of(value: object) -> str:
    if isinstance(value, pydicom.multival.MultiValue):
        return "\\".join(str(v) for v in value)
    return str(value or "").strip()


def test_samples_in_every_transfer_syntax_are_read() -> None:
    for sample in all_samples():
        dataset = dataset_bytes(sample.path)
        whole = len(dataset) <= attributes.HEAD_BYTES_MAX
        read = read_attributes(memoryview(dataset)[: attributes.HEAD_BYTES_MAX], sample.transfer_syntax, whole=whole)
        found = (read.sop_class_uid, read.sop_instance_uid, read.modality)
        assert found == (sample.sop_class, sample.sop_instance, sample.modality), sample.name


def element(tag: int, vr: bytes, value: bytes, order: str = "<") -> bytes:
    group, number = tag >> 16, tag & 0xFFFF
    if vr in (b"OB", b"SQ", b"UN", b"UT"):
        return struct.pack(order + "HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack(order + "HH2sH", group, number, vr, len(value)) + value


def implicit(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def opened(tag: int, vr: bytes = b"SQ") -> bytes:
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, 0xFFFFFFFF)


def item(length: int = 0xFFFFFFFF) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, length)


ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
SOP = element(0x00080018, b"UI", b"1.2.3\0")
NAME = element(0x00100010, b"PN", b"Ada^Example")
ROWS = element(0x00280010, b"US", b"\0\x02") + element(0x00280011, b"US", b"\0\x04")


def test_an_empty_dataset_has_no_attributes_and_no_problem() -> None:
    assert read_whole(b"") == Attributes(*[""] * 13, 0, "", "", 0, 0, 0, 1, (), "")


def test_explicit_elements_without_vr_are_read_as_implicit() -> None:
    dataset = implicit(0x00080018, b"1.2.3\0") + implicit(0x00100010, b"Ada^Example")
    read = read_whole(dataset)
    assert (read.sop_instance_uid, read.patient_name, read.problem) == ("1.2.3", "Ada^Example", "")


def test_a_single_element_without_vr_is_read_as_implicit() -> None:
    read = read_whole(SOP + implicit(0x00100010, b"Ada^Example") + ROWS)
    assert (read.patient_name, read.rows, read.problem) == ("Ada^Example", 512, "")


def test_a_dataset_said_to_be_implicit_but_written_explicit_is_read() -> None:
    read = read_whole(SOP + NAME + ROWS, IMPLICIT)
    assert (read.patient_name, read.columns, read.problem) == ("Ada^Example", 1024, "")


def test_big_endian_numbers_and_lengths_are_read() -> None:
    dataset = element(0x00100010, b"PN", b"Ada", ">") + element(0x00280010, b"US", b"\x02\0", ">")
    read = read_whole(dataset, BIG)
    assert (read.patient_name, read.rows, read.problem) == ("Ada", 512, "")


def test_the_private_ge_syntax_is_implicit_little_endian() -> None:
    read = read_whole(implicit(0x00100010, b"Ada") + implicit(0x00280010, b"\0\x02"), "1.2.840.113619.5.2")
    assert (read.patient_name, read.rows, read.problem) == ("Ada", 512, "")


def test_attributes_inside_sequences_do_not_count() -> None:
    for nested in (
        element(0x00081140, b"SQ", item(len(NAME)) + NAME),
        opened(0x00081140) + item() + NAME + ITEM_END + item(len(NAME)) + NAME + SEQUENCE_END,
    ):
        read = read_whole(nested + element(0x00100020, b"LO", b"ID1 "))
        assert (read.patient_name, read.patient_id, read.problem) == ("", "ID1", "")


CODE = element(0x00080100, b"SH", b"uk") + element(0x00080102, b"SH", b"RFC5646 ") + element(0x00080104, b"LO", b"x ")
COUNTRY = opened(0x00100102) + item() + element(0x00080100, b"SH", b"UA") + ITEM_END + SEQUENCE_END


@pytest.mark.parametrize(
    "sequence",
    [
        element(0x00100101, b"SQ", item(len(CODE)) + CODE),
        element(0x00100101, b"SQ", item() + CODE + COUNTRY + ITEM_END),
        opened(0x00100101) + item() + CODE + COUNTRY + ITEM_END + SEQUENCE_END,
        opened(0x00100101) + item(len(CODE)) + CODE + item(len(NAME)) + NAME + SEQUENCE_END,
    ],
)
def test_the_language_that_the_patient_likes_best_is_read(sequence: bytes) -> None:
    read = read_whole(SOP + NAME + sequence + ROWS)
    assert (read.patient_language, read.rows, read.problem) == ("uk", 512, "")


def test_the_language_is_read_where_no_element_says_its_vr() -> None:
    code = implicit(0x00080100, b"heb ") + implicit(0x00080102, b"ISO639_2")
    items = item(len(code)) + code
    read = read_whole(
        implicit(0x00100010, b"Ada ") + implicit(0x00100101, items) + implicit(0x00280010, b"\0\2"), IMPLICIT
    )
    assert (read.patient_language, read.problem) == ("heb", "")


@pytest.mark.parametrize(
    "items",
    [
        b"",
        b"\xff" * 7,
        item(),
        item(0) + item(0),
        item() + ITEM_END,
        item() + element(0x00080100, b"SH", b"\x1b@") + ITEM_END,
        item() + element(0x00080100, b"SH", b"1234567 ") + ITEM_END,
        item() + element(0x00080100, b"SH", b"uk" * 3000) + ITEM_END,
        item() + struct.pack("<HH2sH", 8, 0x100, b"SH", 60000),
    ],
)
def test_a_language_that_cannot_be_read_is_none_and_never_a_reason_to_hold_a_patient(items: bytes) -> None:
    read = read_whole(SOP + NAME + element(0x00100101, b"SQ", items) + ROWS)
    assert (read.patient_name, read.patient_language, read.rows, read.problem) == ("Ada^Example", "", 512, "")


def test_a_long_list_of_languages_is_no_problem() -> None:
    one = item(len(CODE)) + CODE
    read = read_whole(SOP + element(0x00100101, b"SQ", one * 100) + ROWS)
    assert (read.patient_language, read.problem) == ("uk", "")


def test_unknown_values_of_undefined_length_are_implicit_inside() -> None:
    inner = item() + implicit(0x00100010, b"Nobody") + struct.pack("<HHI", 0x0040, 0xA730, 0xFFFFFFFF)
    inner += item() + ITEM_END + SEQUENCE_END + ITEM_END + SEQUENCE_END
    read = read_whole(SOP + opened(0x00090001, b"UN") + inner + NAME + ROWS)
    assert (read.patient_name, read.rows, read.problem) == ("Ada^Example", 512, "")


def test_the_first_of_two_wins_and_the_repetition_is_told() -> None:
    read = read_whole(NAME + element(0x00100010, b"PN", b"Eve^Other") + ROWS)
    assert (read.patient_name, read.problem) == ("Ada^Example", dataset_head.DISORDERED)


def test_descending_tags_are_told() -> None:
    assert read_whole(NAME + SOP + ROWS).problem == dataset_head.DISORDERED


def test_padding_goes_and_carets_stay() -> None:
    read = read_whole(element(0x00100010, b"PN", b"Ada^Example^^^ \0") + element(0x00100020, b"LO", b"  12 3\0"))
    assert (read.patient_name, read.patient_id) == ("Ada^Example^^^", "12 3")


@pytest.mark.parametrize("uid", [b"../../etc", b"1.2\\1.3", b"1" * 65, b"1.2.3a"])
def test_what_is_no_uid_is_empty_and_told(uid: bytes) -> None:
    read = read_whole(element(0x00080018, b"UI", uid))
    assert (read.sop_instance_uid, read.problem) == ("", attributes.BAD_UID)


def test_a_value_too_large_is_cut_and_told() -> None:
    read = read_whole(element(0x00100020, b"LO", b"7" * 5000) + ROWS)
    assert (len(read.patient_id), read.rows, read.problem) == (1024, 512, dataset_head.TOO_LARGE)


def test_no_control_character_survives() -> None:
    read = read_whole(element(0x00100010, b"PN", b"A\x07d\x1b[31ma\r\n^\x7fX\0Y"))
    assert read.patient_name.isprintable()


def test_text_outside_the_declared_set_is_told_and_not_guessed() -> None:
    read = read_whole(element(0x00100010, b"PN", b"M\xfcller"))
    assert (read.patient_name, read.problem) == ("M\ufffdller", attributes.UNDECODABLE)


def test_an_unknown_character_set_is_told() -> None:
    read = read_whole(element(0x00080005, b"CS", b"KLINGON ") + element(0x00100010, b"PN", b"K\xf1orn^"))
    assert (read.patient_name, read.problem) == ("K\ufffdorn^", attributes.UNKNOWN_SET)
    assert read.specific_character_set == ("KLINGON",)


def test_pixels_end_the_reading_even_when_the_head_is_cut_there() -> None:
    head = SOP + NAME + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 1 << 24)
    assert read_attributes(head, LITTLE, whole=False).problem == ""


def test_a_cut_after_the_last_wanted_element_is_no_problem() -> None:
    assert read_attributes(SOP + NAME + ROWS, LITTLE, whole=False).problem == ""


def test_an_end_before_the_wanted_elements_is_a_problem_only_when_more_follows() -> None:
    assert read_attributes(SOP + NAME, LITTLE, whole=False).problem == dataset_head.BEYOND_HEAD
    assert read_whole(SOP + NAME).problem == ""


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, LITTLE, BIG])
def test_a_head_cut_anywhere_yields_whole_values_or_none(transfer_syntax: str) -> None:
    source = "MR_small_bigendian.dcm" if transfer_syntax == BIG else "MR_small_implicit.dcm"
    source = "CT_small.dcm" if transfer_syntax == LITTLE else source
    raw = (PACKAGES / "pydicom/data/test_files" / source).read_bytes()
    dataset = raw[meta_end(raw) :]
    full = read_whole(dataset, transfer_syntax)
    assert full.problem == ""
    for cut in range(0, 8000, 7):
        part = read_attributes(dataset[:cut], transfer_syntax, whole=False)
        for field in (*TEXTS, "rows", "columns"):
            assert getattr(part, field) in (getattr(full, field), "", 0)


def depth_bomb(depth: int) -> bytes:
    return (opened(0x00081140) + item()) * depth + (ITEM_END + SEQUENCE_END) * depth


def test_nesting_is_followed_as_deep_as_allowed_and_no_deeper() -> None:
    assert read_whole(depth_bomb(dataset_head.DEPTH_MAX) + NAME).patient_name == "Ada^Example"
    for depth in (dataset_head.DEPTH_MAX + 1, 30_000):
        assert read_whole(SOP + depth_bomb(depth) + NAME).problem == dataset_head.TOO_DEEP


@pytest.mark.parametrize("bomb", [opened(0x00081140) + item(0) * 60_000, element(0x00090001, b"CS", b"") * 60_000])
def test_the_number_of_elements_is_bounded(bomb: bytes) -> None:
    started = time.perf_counter()
    assert read_whole(bomb).problem in (dataset_head.TOO_MANY, dataset_head.DISORDERED)
    assert time.perf_counter() - started < 1


def deflate(dataset: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(dataset) + deflater.flush()


def test_a_deflated_header_larger_than_the_first_step_is_read() -> None:
    dataset = SOP + element(0x00090001, b"OB", bytes(300_000)) + NAME + ROWS
    read = read_whole(deflate(dataset), DEFLATED)
    assert (read.patient_name, read.rows, read.problem) == ("Ada^Example", 512, "")


def test_a_deflate_bomb_ends_at_the_limit() -> None:
    dataset = SOP + element(0x00090001, b"OB", bytes(100 << 20)) + NAME
    read = read_whole(deflate(dataset), DEFLATED)
    assert (read.sop_instance_uid, read.patient_name, read.problem) == ("1.2.3", "", attributes.INFLATE_LIMIT)


def test_damaged_and_cut_deflate_streams_are_told() -> None:
    deflated = deflate(SOP + NAME * 1 + ROWS + element(0x00290001, b"OB", bytes(range(256)) * 40))
    assert read_whole(b"\xff" * 100, DEFLATED).problem == attributes.BAD_DEFLATE
    assert read_attributes(deflated[:12], DEFLATED, whole=True).problem != ""


@pytest.mark.parametrize("tag", [0x00080018, 0x00100010, 0x00081140])
@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, LITTLE, BIG, DEFLATED, "1.2.3.4"])
def test_the_largest_lengths_end_at_once(tag: int, transfer_syntax: str) -> None:
    for length in (0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF):
        head = struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length) + struct.pack("<I", length) * 4
        assert read_whole(head, transfer_syntax).problem != ""


REAL_HEADS = [
    path.read_bytes()[meta_end(path.read_bytes()) :][:6000]
    for path in sorted((PACKAGES / "pydicom/data/test_files").glob("*_small*.dcm"))
]


def assert_sane(read: Attributes) -> None:
    for field in TEXTS:
        assert getattr(read, field).isprintable() or "\xa0" in getattr(read, field) or "\u3000" in getattr(read, field)
        assert len(getattr(read, field)) <= dataset_head.VALUE_BYTES_MAX


@given(st.binary(max_size=400), st.sampled_from([IMPLICIT, LITTLE, BIG, DEFLATED, "1.2.3"]), st.booleans())
@settings(max_examples=400, deadline=None)
def test_random_bytes_never_raise(data: bytes, transfer_syntax: str, whole: bool) -> None:
    assert_sane(read_attributes(data, transfer_syntax, whole=whole))


@given(
    st.sampled_from(REAL_HEADS),
    st.lists(st.tuples(st.integers(0, 5999), st.integers(0, 255)), max_size=12),
    st.integers(0, 6000),
    st.sampled_from([IMPLICIT, LITTLE, BIG]),
)
@settings(max_examples=400, deadline=None)
def test_damaged_real_heads_never_raise(
    head: bytes, flips: list[tuple[int, int]], cut: int, transfer_syntax: str
) -> None:
    damaged = bytearray(head)
    for at, value in flips:
        damaged[at % len(damaged)] = value
    assert_sane(read_attributes(bytes(damaged[:cut]), transfer_syntax, whole=False))


# -- what release rules look at ----------------------------------------------------------------------------------------

CODE_VALUE, OTHER = 0x00080100, 0x00080102
SEQUENCES = (0x00081032, 0x00321064, 0x00400275)
BODY_PART = element(0x00180015, b"CS", b"BREAST")


def explicit_sequence(tag: int, *items: bytes) -> bytes:
    return element(tag, b"SQ", b"".join(item(len(one)) + one for one in items))


def open_sequence(tag: int, *items: bytes) -> bytes:
    return opened(tag) + b"".join(item() + one + ITEM_END for one in items) + SEQUENCE_END


def code(value: bytes) -> bytes:
    return element(CODE_VALUE, b"SH", value) + element(OTHER, b"SH", b"99TEST")


def with_procedures(data: bytes, syntax: str = LITTLE) -> Attributes:
    return read_attributes(data, syntax, whole=True, procedures=True)


@pytest.mark.parametrize("write", [explicit_sequence, open_sequence])
@pytest.mark.parametrize("tag", SEQUENCES)
def test_each_code_of_a_procedure_is_read_where_it_is_asked_for(write, tag) -> None:
    parts = {0x00080018: SOP, tag: write(tag, code(b"RPID16"), code(b"X1")), 0x00180015: BODY_PART, 0x00280010: ROWS}
    data = b"".join(parts[at] for at in sorted(parts))
    assert with_procedures(data).procedure_codes == ("RPID16", "X1")
    assert with_procedures(data).problem == ""
    assert read_whole(data).procedure_codes == ()
    assert read_whole(data).body_part == with_procedures(data).body_part == "BREAST"


def test_a_code_in_implicit_little_endian_and_one_within_another_are_read() -> None:
    inner = implicit(CODE_VALUE, b"AB") + implicit(0x00081032, item(10) + implicit(CODE_VALUE, b"CD"))
    data = implicit(0x00080018, b"1.2.3\0") + implicit(0x00321064, item(len(inner)) + inner)
    assert with_procedures(data, IMPLICIT).procedure_codes == ("AB", "CD")


def test_a_code_in_big_endian_is_read() -> None:
    value = element(CODE_VALUE, b"SH", b"RPID16", ">")
    items = struct.pack(">HHI", 0xFFFE, 0xE000, len(value)) + value
    data = element(0x00080018, b"UI", b"1.2.3\0", ">") + element(0x00321064, b"SQ", items, ">")
    assert with_procedures(data, BIG).procedure_codes == ("RPID16",)


def test_more_codes_than_are_read_is_a_problem_and_no_silence() -> None:
    many = explicit_sequence(0x00081032, *[code(b"%06d" % n) for n in range(1000)])
    assert with_procedures(SOP + many).problem == dataset_head.TOO_LARGE
    assert read_whole(SOP + many).problem == ""


def test_a_head_that_ends_before_the_procedure_is_a_problem_only_where_it_counts() -> None:
    head = SOP + ROWS
    assert read_attributes(head, LITTLE, whole=False, procedures=True).problem == dataset_head.BEYOND_HEAD
    assert read_attributes(head, LITTLE, whole=False).problem == ""


@given(st.binary(max_size=200))
def test_whatever_stands_in_the_sequence_nothing_is_raised(junk) -> None:
    with_procedures(SOP + element(0x00081032, b"SQ", junk) + ROWS)
    with_procedures(SOP + element(0x00081032, b"SQ", b"\x08\0\0\1SH" + junk))
