"""The corpus for system tests: real files of every kind that packages carry, and made ones for the kinds they lack.

`all_samples()` can be sent as they are; several are the same image in another transfer syntax and share a SOP Instance
UID: then see `distinct_samples()`. `nasties()` are the files that cannot be sent, and why.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pydicom

from tests.samples_made import MAKERS, REPOSITORY, MakerMissingError, made

PACKAGES = Path(pydicom.__file__).parent.parent
SOURCES = {
    "pydicom": PACKAGES / "pydicom/data",
    "pydicom-data": PACKAGES / "data_store/data",
    "pynetdicom": PACKAGES / "pynetdicom/tests",
    "jpeg-lossless-decoder-js": REPOSITORY / "viewer/node_modules/jpeg-lossless-decoder-js/tests/data",
}
GENERATED = "generated"
NOT_DICOM = {".py", ".pyc", ".json", ".txt", ".md", ".icc", ".dump", ".crt", ".key"}
DICOMDIR_CLASS = "1.2.840.10008.1.3.10"

_UID = re.compile(r"[0-9.]{1,64}")

# Broken in a way that only a look inside shows.
KNOWN_BROKEN = {
    "rtplan_truncated.dcm": "cut short",
    "MR_truncated.dcm": "cut short",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "cut short",
}


@dataclass(frozen=True)
class Meta:
    """Group 0002, and where the dataset starts; texts are empty where absent."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    dataset_at: int


@dataclass(frozen=True)
class Sample:
    path: Path
    name: str  # unique
    modality: str
    sop_class: str  # this and the next as the dataset says: some files' meta information names others
    sop_instance: str
    transfer_syntax: str
    source: str  # package, or "generated"


@dataclass(frozen=True)
class Nasty:
    path: Path
    reason: str


def meta(path: Path) -> Meta:
    """PS3.10 7.1, by hand: what tests believe must not come from the code under test, nor from a library."""
    return _parse_meta(path.read_bytes())


def dataset_bytes(path: Path) -> bytes:
    """Exactly what follows the file meta information."""
    raw = path.read_bytes()
    return raw[_parse_meta(raw).dataset_at :]


def _parse_meta(raw: bytes) -> Meta:
    at = 132 if raw[128:132] == b"DICM" else 0
    uids = {}
    while raw[at : at + 2] == b"\x02\x00" and at + 8 <= len(raw):
        number, vr, length = struct.unpack_from("<H2sH", raw, at + 2)
        at += 8
        if vr in (b"OB", b"UN"):
            length = struct.unpack_from("<I", raw, at)[0]
            at += 4
        if vr == b"UI":
            uids[number] = raw[at : at + length].decode("latin_1").strip(" \0")
        at += length
    return Meta(uids.get(0x0002, ""), uids.get(0x0003, ""), uids.get(0x0010, ""), at)


@cache
def all_samples() -> list[Sample]:
    """Every file that can be sent, real ones first. Makes the missing ones: a few seconds on first use."""
    return [found for found in _catalogue() if isinstance(found, Sample)] + list(_generated())


@cache
def nasties() -> list[Nasty]:
    return [found for found in _catalogue() if isinstance(found, Nasty)]


def distinct_samples() -> list[Sample]:
    """One sample for each SOP Instance UID, the first."""
    return list({sample.sop_instance: sample for sample in reversed(all_samples())}.values())[::-1]


def sample(name: str) -> Sample:
    return next(each for each in all_samples() if each.name == name)


@cache
def _catalogue() -> list[Sample | Nasty]:
    return [_classify(path, f"{source}/{path.relative_to(folder)}", source) for source, folder, path in _files()]


def _files() -> Iterator[tuple[str, Path, Path]]:
    for source, folder in SOURCES.items():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in NOT_DICOM and path.name != "README":
                yield source, folder, path


def _generated() -> Iterator[Sample]:
    for name in MAKERS:
        try:
            found = _classify(made(name), f"{GENERATED}/{name}", GENERATED)
        except MakerMissingError:
            continue
        if isinstance(found, Nasty):
            raise TypeError(f"the generated sample {name} is no good: {found.reason}")
        yield found


def _classify(path: Path, name: str, source: str) -> Sample | Nasty:
    raw = path.read_bytes()
    group = _parse_meta(raw)
    reason = _reason(path, raw, group)
    if reason:
        return Nasty(path, reason)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about values that real files have
        dataset = pydicom.dcmread(
            path, specific_tags=["SOPClassUID", "SOPInstanceUID", "Modality"], stop_before_pixels=True
        )
        sop_class, sop_instance, modality = (
            str(dataset.get(k, "")) for k in ("SOPClassUID", "SOPInstanceUID", "Modality")
        )
    if not (_UID.fullmatch(sop_class) and _UID.fullmatch(sop_instance)):
        return Nasty(path, "its dataset lacks a valid SOP Class or SOP Instance UID")
    return Sample(path, name, modality, sop_class, sop_instance, group.transfer_syntax, source)


def _reason(path: Path, raw: bytes, group: Meta) -> str:
    """Why a file cannot be sent, as far as its bytes tell, or an empty text."""
    if raw[128:132] != b"DICM":
        return "it has no preamble"
    if group.sop_class == DICOMDIR_CLASS:
        return "it is a DICOMDIR"
    if not (group.sop_class and group.sop_instance and group.transfer_syntax):
        return "its file meta information lacks a UID"
    if len(raw) == group.dataset_at:
        return "it has no dataset"
    return KNOWN_BROKEN.get(path.name, "")
