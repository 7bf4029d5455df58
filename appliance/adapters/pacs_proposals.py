"""What the box proposes when it calls an archive: presentation contexts (PS3.8 section 9.3.2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from appliance.adapters.pacs_answers import GET
from appliance.dicom.negotiation import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, is_storage

MOST_CONTEXTS = 128  # their ids are odd numbers of one byte
UNCOMPRESSED = (EXPLICIT_LE, IMPLICIT_LE, DEFLATED_LE, EXPLICIT_BE)
COMPRESSED = tuple(  # PS3.5 section 8.2 and annex A: RLE, JPEG, JPEG-LS, JPEG 2000, MPEG, HEVC, JPEG XL, HTJ2K
    f"1.2.840.10008.1.2.{end}"
    for end in ("5", *(f"4.{n}" for n in (50, 51, 57, 70, 80, 81, *range(90, 94), *range(100, 109), *range(110, 113))))
) + tuple(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203))
# Where a PACS does not say of which classes its instances are (dcmqrscp): those that patients have, as most hold them.
USUAL_IMAGES = (
    *("1", "1.1", "1.2", "1.3", "2", "2.1", "3.1", "4", "4.1", "6.1", "7", "12.1", "12.2", "13.1.3", "20", "128"),
)  # the ends of their UIDs
USUAL_OTHERS = ("11.1", "66.4", *(f"88.{n}" for n in (11, 22, 33, 34, 50, 59, 65, 67)), "104.1", "104.2")
USUAL_SYNTAXES = (EXPLICIT_LE, IMPLICIT_LE, *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 70, 80, 90)))
_NO_PIXELS = re.compile(r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.(9|11|88|104)\.")  # waveforms, states, reports, documents


@dataclass(frozen=True)
class Proposal:
    """A presentation context."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...] = (EXPLICIT_LE, IMPLICIT_LE)
    as_scp: bool = False  # we take what comes by it
    relational: bool = False


def get_proposals(classes: Sequence[str]) -> list[Proposal]:
    """C-GET, and a context for each way in which the PACS may hold these: what it holds is what it then sends."""
    contexts = [Proposal(*pair, as_scp=True) for uid in classes for pair in _ways(uid)]
    return [Proposal(GET), *contexts]


def _ways(sop_class_uid: str) -> list[tuple[str, tuple[str, ...]]]:
    if not is_storage(sop_class_uid):
        usual = [(end, syntax) for end in USUAL_IMAGES for syntax in USUAL_SYNTAXES]
        usual += [(end, syntax) for end in USUAL_OTHERS for syntax in USUAL_SYNTAXES[:2]]
        return [(f"1.2.840.10008.5.1.4.1.1.{end}", (syntax,)) for end, syntax in usual]
    syntaxes = UNCOMPRESSED if _NO_PIXELS.match(sop_class_uid) else UNCOMPRESSED + COMPRESSED
    return [(sop_class_uid, (syntax,)) for syntax in syntaxes]


def by_association(classes: set[str]) -> Iterator[list[str]]:
    group: list[str] = []
    for uid in sorted(classes):
        if len(get_proposals([*group, uid])) > MOST_CONTEXTS:
            yield group
            group = []
        group = [*group, uid]
    if group:
        yield group
