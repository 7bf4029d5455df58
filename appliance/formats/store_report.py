"""What became of each instance of a STOW-RS request: PS3.18 section 10.5.3 and I.2, as DICOM JSON (annex F).

Kept small while a request of 100,000 instances lasts, and turned into JSON piece by piece.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import IntEnum
from itertools import islice

MEDIA_TYPE = "application/dicom+json"
NOT_RETRIEVABLE: dict[str, object] = {"00081190": {"vr": "UR"}}
ITEMS_A_PIECE = 200  # of JSON: 1 ms, and some 40 KB


class Reason(IntEnum):
    """Failure Reason (0008,1197), PS3.18 table I.2-2."""

    PROCESSING_FAILURE = 0x0110
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH = 0xA900  # of a study that the address does not name
    CANNOT_UNDERSTAND = 0xC000
    TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122


class StoreReport:
    def __init__(self) -> None:
        self.stored = 0
        self.failed = 0
        self.reasons: set[Reason] = set()
        self._classes: dict[str, int] = {}
        self._stored = bytearray()  # lines: class by its number, instance
        self._failed = bytearray()  # the same, and the reason
        self._unnamed = bytearray()  # reasons of what has no UID that could be read

    def add_stored(self, sop_class_uid: str, sop_instance_uid: str) -> None:
        self.stored += 1
        self._stored += f"{self._number(sop_class_uid)} {sop_instance_uid}\n".encode()

    def add_failed(self, reason: Reason, sop_class_uid: str = "", sop_instance_uid: str = "") -> None:
        self.failed += 1
        self.reasons.add(reason)
        if sop_instance_uid:
            self._failed += f"{self._number(sop_class_uid)} {sop_instance_uid} {reason:d}\n".encode()
        else:
            self._unnamed += f"{reason:d}\n".encode()

    def _number(self, sop_class_uid: str) -> int:
        return self._classes.setdefault(sop_class_uid, len(self._classes))

    def json(self) -> Iterator[bytes]:
        """The answer's body. Retrieve URL has to be there (PS3.18 table I.1-1), and is empty: nothing is had back."""
        classes = list(self._classes)

        def reference(line: str) -> dict[str, object]:
            number, uid, *reason = line.split(" ")
            item = {"00081150": _ui(classes[int(number)]), "00081155": _ui(uid)}
            return item | (_failure(reason[0]) if reason else NOT_RETRIEVABLE)

        sequences = (
            ("00081199", self._stored, reference),  # Referenced SOP Sequence
            ("00081198", self._failed, reference),  # Failed SOP Sequence
            ("0008119A", self._unnamed, _failure),  # Other Failures Sequence
        )
        yield json.dumps(NOT_RETRIEVABLE, separators=(",", ":")).removesuffix("}").encode()
        for tag, kept, item in sequences:
            if kept:
                yield f',"{tag}":{{"vr":"SQ","Value":['.encode()
                yield from _pieces(map(item, _lines(kept)))
                yield b"]}"
        yield b"}"


def _lines(kept: bytearray) -> Iterator[str]:
    start = 0
    while (end := kept.find(b"\n", start)) >= 0:
        yield kept[start:end].decode("ascii")
        start = end + 1


def _pieces(items: Iterator[dict[str, object]]) -> Iterator[bytes]:
    comma = ""
    while some := list(islice(items, ITEMS_A_PIECE)):
        yield (comma + ",".join(json.dumps(item, separators=(",", ":")) for item in some)).encode()
        comma = ","


def _ui(uid: str) -> dict[str, object]:
    return {"vr": "UI", "Value": [uid]}


def _failure(reason: str) -> dict[str, object]:
    return {"00081197": {"vr": "US", "Value": [int(reason)]}}
