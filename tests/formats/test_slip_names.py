"""From the bytes of a Patient's Name in each DICOM character set to the letters on paper (PS3.5 annexes H to K)."""

from __future__ import annotations

import struct

import pytest

from appliance.core.identity import Identity
from appliance.dicom.attributes import read_attributes
from appliance.formats.languages import LANGUAGES
from appliance.formats.slip_shaping import Type

LITTLE = "1.2.840.10008.1.2.1"
J87, J159, J13, ASCII = b"\x1b$B", b"\x1b$(D", b"\x1b)I", b"\x1b(B"
KOREAN, CHINESE = b"\x1b$)C", b"\x1b$)A"


def jis(text: str) -> bytes:
    """Two bytes a character, as after ESC $ B."""
    return J87 + text.encode("iso2022_jp")[3:-3] + ASCII


NAMES = [
    (b"", b"Rivers^Ada", "A.R."),
    (b"ISO_IR 100", "Öberg^Åsa".encode("latin_1"), "Å.Ö."),
    (b"ISO_IR 101", "Żółć^Łucja".encode("iso8859_2"), "Ł.Ż."),
    (b"ISO_IR 109", "Ċetta^Ħaż".encode("iso8859_3"), "Ħ.Ċ."),
    (b"ISO_IR 110", "Ķirse^Āda".encode("iso8859_4"), "Ā.Ķ."),
    (b"ISO_IR 126", "Ψαλίδας^Άδα".encode("iso8859_7"), "Ά.Ψ."),
    (b"ISO_IR 127", "النهري^عبد".encode("iso8859_6"), "ع.ا."),
    (b"ISO_IR 138", "נהרי^עדה".encode("iso8859_8"), "ע.נ."),
    (b"ISO_IR 144", "Люкceмбypг^Ада".encode("iso8859_5"), "А.Л."),
    (b"ISO_IR 148", "Çağlar^İpek".encode("iso8859_9"), "İ.Ç."),
    (b"ISO_IR 166", "นามสกุล^สมชาย".encode("tis_620"), "ส.น."),
    (b"ISO_IR 192", "Їжак^Ґалина=王^小东".encode(), "Ґ.Ї."),
    (b"GB18030", "王^小东".encode("gb18030"), "王○"),
    (b"GBK", "王^小东".encode("gbk"), "王○"),
    (b"ISO 2022 IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis"), "ﾔ○"),
    (b"\\ISO 2022 IR 87", b"=" + jis("山田") + b"^" + jis("太郎") + b"=" + jis("やまだ") + b"^" + jis("たろう"), "山○"),
    (b"\\ISO 2022 IR 87", b"Yamada^Tarou=" + jis("山田") + b"^" + jis("太郎"), "T.Y."),
    (b"\\ISO 2022 IR 159", b"=" + J159 + "鷗".encode("iso2022_jp_1")[4:-3] + ASCII + b"^", "鷗○"),
    (b"\\ISO 2022 IR 149", b"=" + KOREAN + "洪".encode("euc_kr") + b"^" + KOREAN + "吉洞".encode("euc_kr"), "洪○"),
    (b"\\ISO 2022 IR 149", b"==" + KOREAN + "홍".encode("euc_kr") + b"^" + KOREAN + "길동".encode("euc_kr"), "홍○"),
    (b"\\ISO 2022 IR 58", b"Zhang^XiaoDong=" + CHINESE + "张".encode("gb2312") + b"^", "X.Z."),
]


def dataset(terms: bytes, name: bytes) -> bytes:
    parts = ((0x0008, 0x0005, b"CS", terms), (0x0010, 0x0010, b"PN", name))
    return b"".join(
        struct.pack("<HH2sH", group, number, vr, len(value) + len(value) % 2) + value + b" " * (len(value) % 2)
        for group, number, vr, value in parts
    )


def initials(terms: bytes, name: bytes) -> str:
    read = read_attributes(dataset(terms, name), LITTLE, whole=True)
    return Identity("1", "", read.patient_name, "").initials


@pytest.mark.parametrize(("terms", "name", "shown"), NAMES)
def test_initials_are_right_in_every_character_set(terms, name, shown):
    assert read_attributes(dataset(terms, name), LITTLE, whole=True).problem == ""
    assert initials(terms, name) == shown


@pytest.mark.parametrize(("terms", "name", "shown"), NAMES)
def test_every_slip_has_a_glyph_for_them(terms, name, shown):
    assert [char for language in LANGUAGES for char in Type(language, 33, bold=True).unprintable(shown)] == []


@pytest.mark.parametrize(("terms", "name", "shown"), NAMES)
@pytest.mark.parametrize("injected", [b"\x1b@", b"\x1dV\x00", b"\x1bp\x00\x19\xfa", b"\x10\x14\x01", b"\x0c", b"\x00"])
def test_commands_in_a_name_leave_no_control_in_the_initials(terms, name, shown, injected):
    for hostile in (injected + name, name.replace(b"^", injected + b"^" + injected), name + injected):
        assert all(ord(char) >= 32 and not 0x7F <= ord(char) < 0xA0 for char in initials(terms, hostile))
