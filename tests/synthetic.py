"""Invented patients, invented pixels: datasets of a real scanner's shape for loads and samples. Deterministic.

Headers have what CT and MR scanners send: about a hundred elements at the top level, nested codes, private blocks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

ROOT = "1.2.826.0.1.3680043.10.1337.20."
IMPLICIT, LITTLE, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)


@dataclass(frozen=True)
class Kind:
    """What sort of image, and how its pixels are distributed."""

    modality: str
    sop_class: str
    rows: int
    columns: int
    bits: int
    tissue: int  # mean value inside the body
    noise: int  # standard deviation there; compression ratios follow from it


CT = Kind("CT", "1.2.840.10008.5.1.4.1.1.2", 512, 512, 12, 1060, 22)
MR_SMALL = Kind("MR", "1.2.840.10008.5.1.4.1.1.4", 96, 96, 12, 700, 15)
MG = Kind("MG", "1.2.840.10008.5.1.4.1.1.1.2", 4096, 3328, 14, 6000, 90)
DX = Kind("DX", "1.2.840.10008.5.1.4.1.1.1.1", 4728, 4728, 14, 6000, 90)

_TEXTS = {
    "SpecificCharacterSet": "ISO_IR 192",
    "Manufacturer": "Slipway Test Works",
    "InstitutionName": "Invented Infirmary",
    "InstitutionAddress": "1 Nowhere Lane",
    "ReferringPhysicianName": "Nobody^Norma^^Dr",
    "StationName": "TESTSTN1",
    "StudyDescription": "Thorax and abdomen with contrast",
    "SeriesDescription": "Thorax 1.0 soft",
    "InstitutionalDepartmentName": "Radiology",
    "PerformingPhysicianName": "Nemo^Ned",
    "OperatorsName": "Niemand^Nina",
    "ManufacturerModelName": "Imagined 64",
    "IssuerOfPatientID": "INVENTED",
    "PatientBirthDate": "19530417",
    "PatientSex": "F",
    "PatientAge": "072Y",
    "PatientComments": "not a person",
    "ContrastBolusAgent": "Iohexol 350",
    "BodyPartExamined": "CHEST",
    "ScanOptions": "HELICAL",
    "DeviceSerialNumber": "T-0001",
    "ProtocolName": "Thorax^Routine",
    "RotationDirection": "CW",
    "FilterType": "BODY",
    "DateOfLastCalibration": "20260301",
    "TimeOfLastCalibration": "061500",
    "PatientPosition": "HFS",
    "ExposureModulationType": "XYZ",
    "PatientIdentityRemoved": "NO",
    "PositionReferenceIndicator": "",
    "ImageComments": "synthetic",
    "PhotometricInterpretation": "MONOCHROME2",
    "RescaleType": "HU",
    "RequestingPhysician": "Personne^Paul",
    "RequestedProcedureDescription": "Thorax and abdomen",
    "PerformedProcedureStepStartDate": "20260320",
    "PerformedProcedureStepStartTime": "091200",
    "PerformedProcedureStepID": "STEP1",
    "PerformedProcedureStepDescription": "Thorax",
    "AcquisitionType": "SPIRAL",
    "ConvolutionKernel": ["Soft", "2"],
    "SoftwareVersions": ["V1.2", "B7"],
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "WindowCenterWidthExplanation": ["SOFT", "LUNG"],
}
_DECIMALS = {
    "PatientSize": "1.66",
    "PatientWeight": "63",
    "SliceThickness": "1.0",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "ReconstructionDiameter": "380",
    "DistanceSourceToDetector": "1040",
    "DistanceSourceToPatient": "570",
    "GantryDetectorTilt": "0",
    "TableHeight": "160.5",
    "ExposureTime": "500",
    "XRayTubeCurrent": "210",
    "Exposure": "105",
    "GeneratorPower": "36",
    "FocalSpots": ["1.2"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "PixelSpacing": ["0.742188", "0.742188"],
    "WindowCenter": ["40", "-550"],
    "WindowWidth": ["380", "1500"],
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
}
_BINARIES = {
    "SingleCollimationWidth": 0.625,
    "TotalCollimationWidth": 40.0,
    "TableSpeed": 78.75,
    "TableFeedPerRotation": 39.375,
    "SpiralPitchFactor": 0.984,
    "CTDIvol": 7.12,
    "PregnancyStatus": 4,
    "SamplesPerPixel": 1,
    "BitsAllocated": 16,
    "PixelRepresentation": 0,
    "SmallestImagePixelValue": 0,
}


def header(kind: Kind, study: int, series: int, number: int) -> Dataset:
    """A dataset without pixels; UIDs follow from the numbers."""
    dataset = Dataset()
    for keyword, value in (_TEXTS | _DECIMALS | _BINARIES).items():
        setattr(dataset, keyword, value)
    _add_identity(dataset, kind, study, series, number)
    _add_geometry(dataset, kind, number)
    _add_sequences(dataset, kind, study)
    _add_private(dataset, number)
    return dataset


def _add_identity(dataset: Dataset, kind: Kind, study: int, series: int, number: int) -> None:
    dataset.SOPClassUID = kind.sop_class
    dataset.SOPInstanceUID = f"{ROOT}{study}.{series}.{number}"
    dataset.StudyInstanceUID = f"{ROOT}{study}"
    dataset.SeriesInstanceUID = f"{ROOT}{study}.{series}"
    dataset.FrameOfReferenceUID = f"{ROOT}{study}.900"
    # One name with similar IDs would be a typing error.
    dataset.PatientName, dataset.PatientID = f"Example^Ada^Quinn {study}", f"INV{study:07d}"
    dataset.AccessionNumber = f"A{study:08d}"
    dataset.Modality = kind.modality
    dataset.StudyID = str(study)
    dataset.SeriesNumber, dataset.AcquisitionNumber, dataset.InstanceNumber = series, 1, number
    for what in ("Study", "Series", "Acquisition", "Content", "InstanceCreation"):
        setattr(dataset, f"{what}Date", "20260320")
        setattr(dataset, f"{what}Time", f"0915{number % 60:02d}.125000")


def _add_geometry(dataset: Dataset, kind: Kind, number: int) -> None:
    dataset.Rows, dataset.Columns = kind.rows, kind.columns
    dataset.BitsStored, dataset.HighBit = kind.bits, kind.bits - 1
    dataset.LargestImagePixelValue = (1 << kind.bits) - 1
    dataset.ImagePositionPatient = ["-190.0", "-350.5", f"{number - 1180.5:.1f}"]
    dataset.SliceLocation = f"{number - 1180.5:.1f}"


def _add_sequences(dataset: Dataset, kind: Kind, study: int) -> None:
    dataset.ProcedureCodeSequence = Sequence([_code("INV001", "Thorax and abdomen")])
    dataset.CTDIPhantomTypeCodeSequence = Sequence([_code("INV002", "Body phantom")])
    dataset.ReferencedStudySequence = Sequence([_reference("1.2.840.10008.3.1.2.3.1", f"{ROOT}{study}.901")])
    dataset.ReferencedImageSequence = Sequence(
        [_reference(kind.sop_class, f"{ROOT}{study}.1.{localizer}") for localizer in (1, 2, 3)]
    )
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "REQ1", "SCH1"
    request.RequestedProcedureDescription = "Thorax and abdomen"
    request.ScheduledProtocolCodeSequence = Sequence([_code("INV003", "Thorax routine")])
    dataset.RequestAttributesSequence = Sequence([request])


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "99INV", meaning
    return code


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class, sop_instance
    return reference


def _add_private(dataset: Dataset, number: int) -> None:
    """Private blocks before and after the identity, one of them as large as the vendors' protocol dumps."""
    block = dataset.private_block(0x0019, "SLIPWAY TEST SCAN", create=True)
    for offset in range(12):
        block.add_new(0x10 + offset, "DS", f"{offset * 2.5 + number:.1f}")
    block = dataset.private_block(0x0029, "SLIPWAY TEST DUMP", create=True)
    block.add_new(0x10, "OB", bytes((31 * i + number) & 0xFF for i in range(1024)))


def pixels(kind: Kind, number: int, seed: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """A body with organs and noise: compresses like the real thing, and no two are alike."""
    random = np.random.default_rng([seed, number])
    y, x = np.ogrid[-1 : 1 : kind.rows * 1j, -1 : 1 : kind.columns * 1j]
    body = (y / 0.75) ** 2 + (x / 0.9) ** 2 < 1
    image = np.where(body, np.float32(kind.tissue), np.float32(20))
    for organ in range(5):
        middle_y, middle_x = 0.3 * np.sin(organ + number / 40), 0.25 * (organ - 2)
        image[((y - middle_y) / 0.15) ** 2 + ((x - middle_x) / 0.1) ** 2 < 1] = kind.tissue * (0.6 + 0.2 * organ)
    image += random.standard_normal(image.shape, dtype=np.float32) * np.where(body, kind.noise, kind.noise / 3)
    return image.clip(0, (1 << kind.bits) - 1).astype("<u2")


def encode(dataset: Dataset, *, implicit: bool = False, little: bool = True) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


def part10(sop_class: str, sop_instance: str, transfer_syntax: str, dataset: bytes) -> bytes:
    """PS3.10 7.1: preamble, group 0002, and the dataset as it is."""
    group = b"".join(
        [
            struct.pack("<HH2sHI2s", 2, 0x0001, b"OB", 0, 2, b"\0\x01"),
            _meta_uid(0x0002, sop_class),
            _meta_uid(0x0003, sop_instance),
            _meta_uid(0x0010, transfer_syntax),
            _meta_uid(0x0012, f"{ROOT}1"),
        ]
    )
    out = BytesIO()
    out.write(bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(group)) + group)
    out.write(dataset)
    return out.getvalue()


def _meta_uid(number: int, uid: str) -> bytes:
    value = uid.encode() + b"\0" * (len(uid) % 2)
    return struct.pack("<HH2sH", 2, number, b"UI", len(value)) + value
