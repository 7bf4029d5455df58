"""The walk over a dataset's head: top-level elements one by one, bounded in every direction, with nothing decoded.

Not a DICOM library. `attributes.py` says which elements are wanted and what their bytes mean. Nothing here raises on
bad input: it runs for each received instance, before anyone knows who sent what.
"""

from __future__ import annotations

import struct

DEPTH_MAX = 32  # real files nest 6 deep; deeper is an attack on somebody's stack
ELEMENTS_MAX = 20_000  # at the top level, and as many within sequences: 20 ms at worst
# Sequences of which the items are taken as written, and how many bytes of them.
SEQUENCES_TAKEN = {0x00081032: 1 << 14, 0x00100101: 1 << 10, 0x00321064: 1 << 14, 0x00400275: 1 << 14}
MAY_BE_CUT_SHORT = 0x00100101  # the languages that a patient speaks: the first counts
VALUE_BYTES_MAX = 1024  # the longest real value is a name of three groups of 64 characters

CUT_SHORT = "The dataset ends in the middle of an element."
BEYOND_HEAD = "The identifying attributes do not all lie in the first part of the dataset."
TOO_DEEP = "The dataset's sequences are nested too deep."
TOO_MANY = "The dataset has too many elements before its identifying attributes end."
BROKEN_SEQUENCE = "A sequence of the dataset is broken."
DISORDERED = "The dataset's elements are not in ascending order, or one repeats."
TOO_LARGE = "An identifying attribute is too large."

IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_GE_PRIVATE = "1.2.840.113619.5.2"  # implicit little endian; only its pixel values are big endian

_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

# PS3.5 7.1.2: these have a 16-bit length; all others, and any still to be invented, two reserved bytes and 32 bits.
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())


class _UnreadableError(Exception):
    """Ends a walk; its argument is the problem. Never leaves this module."""


class Layout:
    """How elements are written: byte order, and whether each says its VR."""

    def __init__(self, order: str, *, explicit: bool) -> None:
        self.explicit = explicit
        self.order = order
        self.element = struct.Struct(order + "HH2sH").unpack_from
        self.bare = struct.Struct(order + "HHI").unpack_from
        self.length = struct.Struct(order + "I").unpack_from
        self.tag = struct.Struct(order + "HH").pack


_EXPLICIT_LE = Layout("<", explicit=True)
_EXPLICIT_BE = Layout(">", explicit=True)
_IMPLICIT_LE = Layout("<", explicit=False)


def layout_of(head: memoryview, transfer_syntax: str) -> Layout:
    """The declared layout, unless the first element shows that the other one was written (both happen in the field)."""
    if len(head) < 8:
        return _EXPLICIT_LE
    if transfer_syntax in (IMPLICIT_LITTLE_ENDIAN, _GE_PRIVATE):
        length = _IMPLICIT_LE.length(head, 4)[0]
        misdeclared = length > len(head) and bytes(head[4:6]) in SHORT_VRS
        return _EXPLICIT_LE if misdeclared else _IMPLICIT_LE
    if not _is_vr(bytes(head[4:6])):
        return _IMPLICIT_LE
    return _EXPLICIT_BE if transfer_syntax == EXPLICIT_BIG_ENDIAN else _EXPLICIT_LE


def _is_vr(two: bytes) -> bool:
    return two.isalpha() and two.isupper()


class Walk:
    """One pass over the top-level elements; `found` holds the wanted values as they were written."""

    def __init__(self, data: memoryview, wanted: frozenset[int], *, whole: bool) -> None:
        self.data = data
        self.end = len(data)
        self.whole = whole
        self._wanted = wanted
        self._stop = max(wanted)
        self.found: dict[int, bytes] = {}
        self.order = "<"
        self.layout = _EXPLICIT_LE
        self.problem = ""
        self.ended_early = False
        self._nested_left = ELEMENTS_MAX
        self._skipped = (0, 0)  # from where to where the last sequence of undefined length went

    def run(self, layout: Layout) -> None:
        self.layout = layout
        self.order = layout.order
        try:
            if layout.explicit:
                self._walk_explicit(layout)
            else:
                self._walk_implicit(layout)
        except struct.error:
            self.ended_early = True
            self.note(CUT_SHORT if self.whole else BEYOND_HEAD)
        except _UnreadableError as stop:
            self.note(str(stop))

    def note(self, problem: str) -> None:
        """The first problem is the one to tell: the others often follow from it."""
        self.problem = self.problem or problem

    def _walk_explicit(self, layout: Layout) -> None:
        # The hot loop of the whole reader: one call per element, everything in locals.
        data, end, wanted, stop, element = self.data, self.end, self._wanted, self._stop, layout.element
        at, last = 0, -1
        for _ in range(ELEMENTS_MAX):
            if at >= end:
                self._finish(at)
                return
            group, number, vr, length = element(data, at)
            tag = group << 16 | number
            if tag > stop:
                self._finish_at(tag)
                return
            at += 8
            if vr not in SHORT_VRS:
                at, length = self._long_element(layout, at, vr)
            if tag <= last:
                self.note(DISORDERED)
            if tag in wanted:
                self._take(tag, at, length)
                if tag == stop:
                    return
            at += length
            last = tag
        raise _UnreadableError(TOO_MANY)

    def _walk_implicit(self, layout: Layout) -> None:
        data, end, wanted, stop, element = self.data, self.end, self._wanted, self._stop, layout.bare
        at, last = 0, -1
        for _ in range(ELEMENTS_MAX):
            if at >= end:
                self._finish(at)
                return
            group, number, length = element(data, at)
            tag = group << 16 | number
            if tag > stop:
                self._finish_at(tag)
                return
            at += 8
            if length == _UNDEFINED_LENGTH:
                at, length = self._past_sequence(layout, at), 0
            if tag <= last:
                self.note(DISORDERED)
            if tag in wanted:
                self._take(tag, at, length)
                if tag == stop:
                    return
            at += length
            last = tag
        raise _UnreadableError(TOO_MANY)

    def _finish(self, at: int) -> None:
        """No more bytes: fine at the end of a whole dataset only."""
        if at > self.end or not self.whole:
            raise struct.error

    def _finish_at(self, tag: int) -> None:
        if tag >= _ITEM:
            raise _UnreadableError(BROKEN_SEQUENCE)

    def _long_element(self, layout: Layout, at: int, vr: bytes) -> tuple[int, int]:
        """Where the value starts and its length, for an element whose first eight bytes end at `at`."""
        start, length, inside = self._long_header(layout, at, vr)
        if length == _UNDEFINED_LENGTH:
            return self._past_sequence(inside, start), 0
        return start, length

    def _long_header(self, layout: Layout, at: int, vr: bytes) -> tuple[int, int, Layout]:
        if not _is_vr(vr):
            # Single elements without a VR occur in otherwise explicit datasets: read that one as implicit.
            return at, layout.length(self.data, at - 4)[0], layout
        # PS3.5 6.2.2: what UN of undefined length holds is implicit little endian, whatever surrounds it.
        return at + 4, layout.length(self.data, at)[0], _IMPLICIT_LE if vr == b"UN" else layout

    def _take(self, tag: int, at: int, length: int) -> None:
        if at + length > self.end:
            raise struct.error  # half a value is none
        if tag in self.found:
            return  # of two, the first
        most = SEQUENCES_TAKEN.get(tag, VALUE_BYTES_MAX)
        if tag in SEQUENCES_TAKEN and not length and self._skipped[1] == at:
            at, length = self._skipped[0], at - self._skipped[0]
        if length > most:
            if tag != MAY_BE_CUT_SHORT:
                self.note(TOO_LARGE)
            length = most
        self.found[tag] = bytes(self.data[at : at + length])

    def _past_sequence(self, layout: Layout, at: int) -> int:
        """Offset after the delimiter of a sequence of undefined length (or of fragments) whose items start at `at`.

        `opened` holds what is open, sequence and item by turns: an odd count means that an item must come next.
        """
        opened, start = [layout], at
        while opened:
            if not self._nested_left:
                raise _UnreadableError(TOO_MANY)
            self._nested_left -= 1
            inside = opened[-1]
            group, number, length = inside.bare(self.data, at)
            tag = group << 16 | number
            at += 8
            if tag == (_SEQUENCE_END if len(opened) & 1 else _ITEM_END):
                opened.pop()  # its length is 0 by PS3.5 7.5; some writers leave anything there
                continue
            at, length, inner = self._nested_header(inside, at, tag, length, in_item=not len(opened) & 1)
            if length != _UNDEFINED_LENGTH:
                at += length
                continue
            opened.append(inner)
            if len(opened) > 2 * DEPTH_MAX:
                raise _UnreadableError(TOO_DEEP)
        self._skipped = (start, at)
        return at

    def _nested_header(
        self, inside: Layout, at: int, tag: int, length: int, *, in_item: bool
    ) -> tuple[int, int, Layout]:
        """Start, length and inner layout of an item, or of an element of an item, whose header ends at `at`."""
        if in_item != (tag < _ITEM):
            raise _UnreadableError(BROKEN_SEQUENCE)
        if not in_item or not inside.explicit:
            return at, length, inside
        vr = bytes(self.data[at - 4 : at - 2])
        if vr in SHORT_VRS:
            return at, inside.element(self.data, at - 8)[3], inside
        return self._long_header(inside, at, vr)
