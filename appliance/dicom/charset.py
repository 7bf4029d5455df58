"""Specific Character Set (PS3.3 C.12.1.1.2): bytes of a text value to str.

Not pydicom's decoder: that one warns, guesses Latin-1 where nothing is declared, and a guessed name on a slip is worse
than a visible gap. Here a byte that its character set does not define becomes U+FFFD, and the caller says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

UNDEFINED = "\ufffd"

# Right half (G1) of each single-byte set, and of the two sets whose double bytes lie there; by ISO-IR number.
_RIGHT_HALVES = {
    6: "",
    13: "shift_jis",  # 0xA1-0xDF are JIS X 0201 katakana
    58: "gb2312",
    87: "",  # JIS X 0208 and 0212 live in the left half, and only after their escape sequence
    100: "latin_1",
    101: "iso8859_2",
    109: "iso8859_3",
    110: "iso8859_4",
    126: "iso8859_7",
    127: "iso8859_6",
    138: "iso8859_8",
    144: "iso8859_5",
    148: "iso8859_9",
    149: "euc_kr",
    159: "",
    166: "tis_620",
    203: "iso8859_15",
}

_DECLARED = {str(number): codec for number, codec in _RIGHT_HALVES.items()}

# PS3.3 C.12.1.1.2: these replace everything and know no escape sequences.
_STAND_ALONE = {"192": "utf_8", "GB18030": "gb18030", "GBK": "gbk"}

_ASCII, _JIS_0208, _JIS_0212 = 0, 1, 2
_ESCAPES_LEFT = {b"(B": _ASCII, b"(J": _ASCII, b"$B": _JIS_0208, b"$@": _JIS_0208, b"$(D": _JIS_0212}
_ESCAPES_RIGHT = {
    b"-A": 100,
    b"-B": 101,
    b"-C": 109,
    b"-D": 110,
    b"-F": 126,
    b"-G": 127,
    b"-H": 138,
    b"-L": 144,
    b"-M": 148,
    b"-T": 166,
    b"-b": 203,
    b")I": 13,
    b"$)A": 58,
    b"$)C": 149,
}

_TERM = re.compile(r"ISO[ _-]*(?:2022[ _-]*)?(?:IR[ _-]*)?(\d{1,3})")
_RUNS = re.compile(rb"\x1b[ -/]+[0-~]|\x1b|[\x80-\xff]+|[\x00-\x1a\x1c-\x7f]+")
_PAIR = re.compile(rb"[!-~]{2}")
_HIGH = bytes(b | 0x80 if 0x21 <= b <= 0x7E else b for b in range(256))

# C0, DEL, C1, what breaks a line; and the marks that turn the direction of text, with which a name on paper can be made
# to read as another.
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)])

NAME_RESETS = re.compile(rb"[\\^=\t\n\f\r]")  # PS3.5 6.1.2.5.3: where a person name returns to the first set
TEXT_RESETS = re.compile(rb"[\\\t\n\f\r]")


@dataclass(frozen=True)
class Repertoire:
    """What a dataset's Specific Character Set declares."""

    codec: str  # of a stand-alone set; "" where ISO 2022 rules apply
    right: str  # codec of bytes above 0x7F before any escape sequence; "" where none are defined
    known: bool  # every declared term is a defined one

    def decode(self, raw: bytes, resets: re.Pattern[bytes] = TEXT_RESETS) -> str:
        """Text without control characters; U+FFFD for what the declared sets do not define. Padding is kept."""
        if raw.isascii() and b"\x1b" not in raw:
            text = raw.decode("ascii")
        elif self.codec:
            text = raw.decode(self.codec, "replace")
        else:
            text = self._decode_extended(raw, resets)
        return text if text.isprintable() else text.translate(_CONTROLS)

    def _decode_extended(self, raw: bytes, resets: re.Pattern[bytes]) -> str:
        """ISO 2022 with code extensions (PS3.5 6.1.2.5): left and right half are switched apart."""
        left, right = _ASCII, self.right
        parts = []
        for run in _RUNS.findall(raw):
            if run[0] == 0x1B:
                escape = run[1:]
                if escape in _ESCAPES_LEFT:
                    left = _ESCAPES_LEFT[escape]
                elif escape in _ESCAPES_RIGHT:
                    right = _RIGHT_HALVES[_ESCAPES_RIGHT[escape]]
                else:
                    parts.append(UNDEFINED)
            elif run[0] >= 0x80:
                parts.append(run.decode(right, "replace") if right else UNDEFINED * len(run))
            elif left == _ASCII:
                parts.append(run.decode("ascii"))
                if resets.search(run):
                    right = self.right
            else:
                parts.append(_decode_kanji(run, left))
        return "".join(parts)


def _decode_kanji(run: bytes, left: int) -> str:
    """Seven-bit double bytes, by way of EUC-JP, where the same codes have their high bits set."""
    if left == _JIS_0208:
        return run.translate(_HIGH).decode("euc_jp", "replace")
    return _PAIR.sub(lambda pair: b"\x8f" + pair[0].translate(_HIGH), run).decode("euc_jp", "replace")


@lru_cache(maxsize=64)
def repertoire(terms: tuple[str, ...]) -> Repertoire:
    """The repertoire for the values of (0008,0005), misspellings of the field included; never raises."""
    keys = [_key(term) for term in terms] or ["6"]
    known = all(key in _STAND_ALONE or key in _DECLARED for key in keys)
    first = keys[0]
    if first in _STAND_ALONE:
        return Repertoire(_STAND_ALONE[first], "", known)
    return Repertoire("", _DECLARED.get(first, ""), known)


def _key(term: str) -> str:
    """ISO-IR number or name: senders write ISO_IR 100, ISO-IR 100, ISO IR 100, ISO_IR_100 and iso 2022 ir 100."""
    term = term.strip(" \0").upper()
    if not term:
        return "6"
    match = _TERM.fullmatch(term)
    return match[1].lstrip("0") or "0" if match else term.removeprefix("ISO 2022 ")
