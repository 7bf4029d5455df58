"""Character sets: every defined term, code extensions, the field's misspellings, and what must not be guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.dicom.charset import NAME_RESETS, UNDEFINED, repertoire

KANJI = "Yamada^Tarou=山田^太郎=やまだ^たろう"
KANJI_BYTES = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"  # PS3.5 H.3.1


def decode(terms: str, raw: bytes) -> str:
    return repertoire(tuple(terms.split("\\"))).decode(raw, NAME_RESETS)


@pytest.mark.parametrize(
    ("term", "codec", "text"),
    [
        ("ISO_IR 100", "latin_1", "Núñez^José"),
        ("ISO_IR 101", "iso8859_2", "Wałęsa^Łucja"),
        ("ISO_IR 109", "iso8859_3", "Ċensu^Ġorġ"),
        ("ISO_IR 110", "iso8859_4", "Bērziņš^Jānis"),
        ("ISO_IR 144", "iso8859_5", "Иванов^Иван"),
        ("ISO_IR 127", "iso8859_6", "قباني^لنزار"),
        ("ISO_IR 126", "iso8859_7", "Διονυσιος"),
        ("ISO_IR 138", "iso8859_8", "שרון^דבורה"),
        ("ISO_IR 148", "iso8859_9", "Çavuşoğlu^Işık"),
        ("ISO_IR 203", "iso8859_15", "Šimek^Œdipe€"),
        ("ISO_IR 166", "tis_620", "สมชาย^ใจดี"),
        ("ISO_IR 13", "shift_jis", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("ISO_IR 192", "utf_8", "Wang^XiaoDong=王^小東"),
        ("GB18030", "gb18030", "Wang^XiaoDong=王^小东"),
        ("GBK", "gbk", "Wang^XiaoDong=王^小东"),
        ("ISO 2022 GBK", "gbk", "Wang^XiaoDong=王^小东"),
    ],
)
def test_each_single_set_decodes(term: str, codec: str, text: str) -> None:
    assert repertoire((term,)).known
    assert decode(term, text.encode(codec)) == text


@pytest.mark.parametrize(
    ("terms", "raw", "text"),
    [
        ("\\ISO 2022 IR 87", KANJI_BYTES, KANJI),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        ),
        ("\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong^Gildong=洪^吉洞"),
        ("\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab", "Zhang^XiaoDong=张^小东"),
        ("\\ISO 2022 IR 159", b"\x1b$(D0!\x1b(B", b"\x8f\xb0\xa1".decode("euc_jp")),
        (
            "ISO 2022 IR 100\\ISO 2022 IR 144",
            b"M\xfcller=\x1b-L\xb8\xd2\xd0\xdd=\xfc",
            "Müller=Иван=ü",
        ),
        ("ISO 2022 IR 6\\ISO 2022 IR 126", b"A=\x1b-F\xc4\xe9\xef\xed", "A=Διον"),
    ],
)
def test_code_extensions_switch_and_end_at_the_groups(terms: str, raw: bytes, text: str) -> None:
    assert repertoire(tuple(terms.split("\\"))).known
    assert decode(terms, raw) == text


@pytest.mark.parametrize(
    "term", ["ISO-IR 100", "ISO IR 100", "ISO_IR_100", "iso_ir 100", "ISO 2022 IR 100", "ISO2022IR100"]
)
def test_misspelt_terms_are_understood(term: str) -> None:
    assert decode(term, b"M\xfcller") == "Müller"


@pytest.mark.parametrize("terms", ["latin-nonsense", "ISO_IR 999", "\\WINDOWS", "ISO 2022 IR x"])
def test_unknown_terms_are_told_and_leave_ascii(terms: str) -> None:
    assert not repertoire(tuple(terms.split("\\"))).known
    assert decode(terms, b"M\xfcller^X") == f"M{UNDEFINED}ller^X"


def test_no_terms_means_ascii() -> None:
    assert repertoire(()).known
    assert repertoire(()).decode(b"M\xfcller") == f"M{UNDEFINED}ller"


def test_a_stand_alone_set_ignores_the_terms_after_it() -> None:
    assert decode("ISO_IR 192\\ISO 2022 IR 87", "Ünal".encode()) == "Ünal"


def test_an_unknown_escape_sequence_leaves_a_mark_and_no_control_character() -> None:
    assert decode("", b"A\x1b%/1B\x1bC") == f"A{UNDEFINED}B{UNDEFINED}C"


def test_marks_that_turn_the_direction_of_text_are_removed() -> None:
    assert decode("ISO_IR 192", "Ada\u202e^Eve\u2066".encode()) == "Ada^Eve"


def test_an_ideographic_space_is_kept() -> None:
    assert decode("ISO_IR 192", "王\u3000小".encode()) == "王\u3000小"


TERMS = ["", "ISO_IR 13", "ISO_IR 100", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 58", "ISO_IR 192", "GB18030"]
PIECES = [b"\x1b$B", b"\x1b$(D", b"\x1b(B", b"\x1b)I", b"\x1b$)C", b"\x1b", b"^", b"=", b"\\", b"A", b"\xa1", b"\x8f"]


@given(
    st.lists(st.sampled_from(TERMS) | st.text(max_size=12), max_size=4),
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), max_size=30),
)
def test_any_terms_and_any_bytes_decode_without_control_characters(terms: list[str], pieces: list[bytes]) -> None:
    text = repertoire(tuple(terms)).decode(b"".join(pieces), NAME_RESETS)
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text)
