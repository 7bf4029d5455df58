"""Small datasets of services as pydicom writes and reads them: the other hand to the box's reader and writer."""

from __future__ import annotations

from io import BytesIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from appliance.dicom.negotiation import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE

CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = (EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE)


def encode(dataset: Dataset, syntax: str = EXPLICIT_LE) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = syntax == IMPLICIT_LE, syntax != EXPLICIT_BE
    write_dataset(stream, dataset)
    return stream.getvalue()


def decode(data: bytes, syntax: str) -> Dataset:
    return pydicom.filereader.read_dataset(BytesIO(data), syntax == IMPLICIT_LE, syntax != EXPLICIT_BE)


def made(**values: object) -> Dataset:
    """By keyword; a list is a sequence."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, Sequence(value) if isinstance(value, list) else value)
    return dataset


def reference(uid: str, sop: str = CT) -> Dataset:
    return made(ReferencedSOPClassUID=sop, ReferencedSOPInstanceUID=uid)


def without(dataset: Dataset, path: str) -> Dataset:
    """`dataset` itself, but for what `path` names: keywords of sequences down to one attribute, first items."""
    *above, keyword = path.split(".")
    inside = dataset
    for sequence in above:
        inside = getattr(inside, sequence)[0]
    delattr(inside, keyword)
    return dataset


def undefined_lengths(dataset: Dataset) -> Dataset:
    """`dataset` itself, all of whose sequences and items end with a delimiter."""
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                undefined_lengths(item)
    return dataset
