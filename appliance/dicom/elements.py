"""Datasets of services: small ones, in memory, whole. Bytes to nested items and back (PS3.5 section 7).

A hostile peer may write them, so the reader is bounded in depth, items, elements and time, and raises nothing but
DatasetError. It keeps what `tags.py` names and skips everything else. Not for instances: dataset_head.py reads those.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, NoReturn, Union

from appliance.dicom.charset import NAME_RESETS, TEXT_RESETS, Repertoire, repertoire
from appliance.dicom.dataset_head import SHORT_VRS, Layout
from appliance.dicom.dimse import Status
from appliance.dicom.negotiation import EXPLICIT_BE, IMPLICIT_LE
from appliance.dicom.tags import (
    REFERENCED_SOP_CLASS_UID,
    REFERENCED_SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    VRS,
)

MAX_ITEMS = 16384  # in all: more than a study has images
MAX_ELEMENTS = (
    8 * MAX_ITEMS
)  # in all, items and delimiters too; they take 0.1 s to read, in which nobody else is served
MAX_DEPTH = 8  # of sequences; those of the services nest four deep
TEXT_MOST = 1024  # characters of a value that are kept; the longest VR that we show anybody, ST, has as many

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED_LENGTH = 0xFFFFFFFF
_UID = re.compile(rb"[0-9.]{1,64}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")  # PS3.5 6.2, IS
_LINE_ENDS = re.compile(rb"[\r\n\f]+")
_ENCODED_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UT"))  # in the dataset's character set; all others in ASCII
_WIDE_VRS = frozenset(("SQ", "UR", "UT"))  # of those that we write: with 32 bits of length (PS3.5 section 7.1.2)

_EXPLICIT_LITTLE = Layout("<", explicit=True)
_EXPLICIT_BIG = Layout(">", explicit=True)
_IMPLICIT_LITTLE = Layout("<", explicit=False)


class DatasetError(ValueError):
    """`status` is what answers the request; the message holds no value of the dataset."""

    status = Status.PROCESSING_FAILURE


class UnreadableError(DatasetError):
    """The bytes are no dataset, or not the one that the service asks for."""


class MissingAttributeError(UnreadableError):
    status = Status.MISSING_ATTRIBUTE

    def __init__(self, tag: int) -> None:
        super().__init__(f"{_name(tag)} is missing")


class MissingValueError(UnreadableError):
    status = Status.MISSING_ATTRIBUTE_VALUE

    def __init__(self, tag: int) -> None:
        super().__init__(f"{_name(tag)} is empty")


class InvalidValueError(UnreadableError):
    status = Status.INVALID_ATTRIBUTE_VALUE

    def __init__(self, tag: int) -> None:
        super().__init__(f"{_name(tag)} is not valid")


class InvalidArgumentError(UnreadableError):
    """Of an action: answers to an N-ACTION know no attributes (PS3.7 section 10.1.4.1.9)."""

    status = Status.INVALID_ARGUMENT_VALUE


class TooManyError(DatasetError):
    status = Status.RESOURCE_LIMITATION

    def __init__(self) -> None:
        super().__init__("the dataset holds more than the box reads")


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


class Item:
    """A dataset, or an item of a sequence. Values are decoded when asked for; "" and () where there is none."""

    __slots__ = ("_order", "found", "parent")

    def __init__(self, order: str, parent: Item | None) -> None:
        self.found: dict[int, bytes | list[Item]] = {}
        self._order = order
        self.parent = parent

    def __contains__(self, tag: int) -> bool:
        return tag in self.found

    def items(self, tag: int) -> Sequence[Item]:
        value = self.found.get(tag, ())
        return () if isinstance(value, bytes) else value

    def text(self, tag: int) -> str:
        """Without padding (PS3.5 section 6.2). Of several values: all of them, as they were written."""
        raw = self._raw(tag)[: 4 * TEXT_MOST]
        if not raw:
            return ""
        if (vr := VRS[tag]) in _ENCODED_VRS:
            # Line by line, as each starts anew in the first character set (PS3.5 section 6.1.2.5.3).
            resets, lines = NAME_RESETS if vr == "PN" else TEXT_RESETS, _LINE_ENDS.split(raw)
            text = " ".join(self._repertoire().decode(line, resets) for line in lines)
        else:
            text = "".join(letter for letter in raw.decode("ascii", "replace") if letter.isprintable())
        return text[:TEXT_MOST].strip(" \0")

    def texts(self, tag: int) -> tuple[str, ...]:
        """Each of several values that is not empty."""
        return tuple(value for one in self.text(tag).split("\\") if (value := one.strip(" ")))

    def uid(self, tag: int) -> str:
        raw = self._raw(tag).rstrip(b"\0 ")
        if raw and not _UID.fullmatch(raw):
            raise InvalidValueError(tag)
        return raw.decode("ascii")

    def number(self, tag: int, default: int) -> int:
        """IS or US; `default` where it is absent or empty."""
        raw = self._raw(tag)
        if not raw:
            return default
        if VRS[tag] == "US":
            if len(raw) != 2:
                raise InvalidValueError(tag)
            return int.from_bytes(raw, "big" if self._order == ">" else "little")
        text = raw.decode("ascii", "replace").strip(" \0")
        if not _INTEGER.fullmatch(text):
            raise InvalidValueError(tag)
        return int(text)

    def required_uid(self, tag: int) -> str:
        """Type 1. MissingAttributeError, MissingValueError, InvalidValueError."""
        return self.uid(tag) or self._lacks(tag)

    def required_text(self, tag: int) -> str:
        return self.text(tag) or self._lacks(tag)

    def required_items(self, tag: int) -> Sequence[Item]:
        return self.items(tag) or self._lacks(tag)

    def _lacks(self, tag: int) -> NoReturn:
        raise MissingValueError(tag) if tag in self.found else MissingAttributeError(tag)

    def _raw(self, tag: int) -> bytes:
        value = self.found.get(tag, b"")
        return value if isinstance(value, bytes) else b""

    def _repertoire(self) -> Repertoire:
        """An item without a character set of its own has that of what holds it (PS3.5 section 7.5.3)."""
        of: Item | None = self
        while of is not None:
            if SPECIFIC_CHARACTER_SET in of.found:
                return repertoire(tuple(of.text(SPECIFIC_CHARACTER_SET).split("\\")))
            of = of.parent
        return repertoire(())


def read(data: bytes, transfer_syntax: str) -> Item:
    """The whole dataset. UnreadableError when it is none, TooManyError when it is beyond the bounds above."""
    layout = _layout(transfer_syntax)
    dataset = Item(layout.order, None)
    try:
        _Reader(data).fill(dataset, layout, 0, len(data), 0)
    except struct.error:
        raise UnreadableError("the dataset is cut short") from None
    return dataset


def _layout(transfer_syntax: str) -> Layout:
    if transfer_syntax == IMPLICIT_LE:
        return _IMPLICIT_LITTLE
    return _EXPLICIT_BIG if transfer_syntax == EXPLICIT_BE else _EXPLICIT_LITTLE


@contextmanager
def arguments() -> Iterator[None]:
    """What is missing or wrong within is an argument of an N-ACTION."""
    try:
        yield
    except (MissingAttributeError, MissingValueError, InvalidValueError) as error:
        raise InvalidArgumentError(str(error)) from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items_left = MAX_ITEMS
        self._elements_left = MAX_ELEMENTS

    def fill(self, item: Item, layout: Layout, at: int, end: int | None, depth: int) -> int:
        """Elements up to `end`, or to the item's delimiter where that is None; where the next thing starts."""
        data, found = self._data, item.found
        limit = len(data) if end is None else end
        while at != end:
            tag, at, length, inside = self._header(layout, at)
            if tag == _ITEM_END and end is None:
                return at
            vr = VRS.get(tag)
            if vr == "SQ" or length == _UNDEFINED_LENGTH:
                items, at = self._sequence(item, inside, at, length, depth + 1)
                if vr == "SQ":
                    found[tag] = items
            else:
                if vr is not None:
                    found[tag] = data[at : at + length]
                at += length
            if at > limit:
                raise UnreadableError("an element is longer than what holds it")
        return at

    def _sequence(self, parent: Item, layout: Layout, at: int, length: int, depth: int) -> tuple[list[Item], int]:
        if depth > MAX_DEPTH:
            raise UnreadableError("sequences are nested too deep")
        items: list[Item] = []
        end = None if length == _UNDEFINED_LENGTH else at + length
        while at != end:
            tag, at, size, _ = self._header(layout, at)
            if tag == _SEQUENCE_END and end is None:
                return items, at
            if tag != _ITEM or (end is not None and at > end):
                raise UnreadableError("a sequence holds something else than items")
            if not self._items_left:
                raise TooManyError
            self._items_left -= 1
            item = Item(layout.order, parent)
            at = self.fill(item, layout, at, None if size == _UNDEFINED_LENGTH else at + size, depth)
            items.append(item)
        return items, at

    def _header(self, layout: Layout, at: int) -> tuple[int, int, int, Layout]:
        """Tag, where the value starts, its length and what it is written in. struct.error when there is no more."""
        if not self._elements_left:
            raise TooManyError
        self._elements_left -= 1
        group, number, length = layout.bare(self._data, at)
        if not layout.explicit or group == 0xFFFE:
            return group << 16 | number, at + 8, length, layout
        vr = self._data[at + 4 : at + 6]
        if vr in SHORT_VRS:
            return group << 16 | number, at + 8, layout.element(self._data, at)[3], layout
        if not (vr.isalpha() and vr.isupper()):
            raise UnreadableError("an element has no VR")
        # PS3.5 section 6.2.2: what UN holds is implicit little endian, whatever surrounds it.
        inside = _IMPLICIT_LITTLE if vr == b"UN" else layout
        return group << 16 | number, at + 12, layout.length(self._data, at + 8)[0], inside


class Reference(NamedTuple):
    """An item of a Referenced SOP Sequence or its like (PS3.3 table 10-11)."""

    sop_class_uid: str
    sop_instance_uid: str


def references(items: Sequence[Item]) -> tuple[Reference, ...]:
    return tuple(
        Reference(item.required_uid(REFERENCED_SOP_CLASS_UID), item.required_uid(REFERENCED_SOP_INSTANCE_UID))
        for item in items
    )


# -- writing -----------------------------------------------------------------------------------------------------------

Value = Union[str, int, "Sequence[Elements]"]
Elements = Mapping[int, Value]  # by tag; those of `tags.py`


def write(elements: Elements, transfer_syntax: str) -> bytes:
    """The dataset, its VRs from `tags.py`; in UTF-8, and saying so, where ASCII does not do."""
    if not _is_ascii(elements):
        elements = {**elements, SPECIFIC_CHARACTER_SET: "ISO_IR 192"}
    return _written(elements, _layout(transfer_syntax))


def chosen(elements: Elements, wanted: Collection[int]) -> Elements:
    """What an N-GET asks for; nothing in particular means all."""
    return {tag: value for tag, value in elements.items() if tag in wanted} if wanted else elements


def reference(to: Reference) -> dict[int, Value]:
    return {REFERENCED_SOP_CLASS_UID: to.sop_class_uid, REFERENCED_SOP_INSTANCE_UID: to.sop_instance_uid}


def _is_ascii(elements: Elements) -> bool:
    return all(
        value.isascii() if isinstance(value, str) else isinstance(value, int) or all(map(_is_ascii, value))
        for value in elements.values()
    )


def _written(elements: Elements, layout: Layout) -> bytes:
    return b"".join(_element(tag, elements[tag], layout) for tag in sorted(elements))


def _element(tag: int, value: Value, layout: Layout) -> bytes:
    vr, order = VRS[tag], layout.order
    data = _value(vr, value, layout)
    where = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if not layout.explicit:
        return where + struct.pack(order + "I", len(data)) + data
    if vr in _WIDE_VRS:
        return where + vr.encode() + struct.pack(order + "2xI", len(data)) + data
    return where + vr.encode() + struct.pack(order + "H", len(data)) + data


def _value(vr: str, value: Value, layout: Layout) -> bytes:
    if isinstance(value, int):
        return struct.pack(layout.order + "H", value) if vr == "US" else _padded(str(value).encode(), b" ")
    if isinstance(value, str):
        return _padded(value.encode(), b"\0" if vr == "UI" else b" ")
    items = (_written(item, layout) for item in value)
    head = struct.Struct(layout.order + "HHI").pack
    return b"".join(head(_ITEM >> 16, _ITEM & 0xFFFF, len(item)) + item for item in items)


def _padded(value: bytes, padding: bytes) -> bytes:
    return value + padding if len(value) % 2 else value
