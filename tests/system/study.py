"""Studies to send: real images with an invented person's particulars written into them."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian

from tests.samples import Sample, dataset_bytes, sample

ROOT = "1.2.826.0.1.3680043.10.1733.9"


@dataclass(frozen=True)
class Person:
    name: str = "Rivers^Ada"
    patient_id: str = "SLIP-0001"
    birth_date: str = "19700131"
    sex: str = "F"


def ct_series(folder: Path, images: int, person: Person | None = None, study: int = 1) -> list[Path]:
    """A real CT of a head (512 x 512), shifted a little further in each slice so that scrolling shows."""
    person = person or Person()
    folder.mkdir(parents=True, exist_ok=True)
    dataset = pydicom.dcmread(sample("pydicom/test_files/J2K_pixelrep_mismatch.dcm").path)
    dataset.decompress()
    pixels = dataset.pixel_array.copy()
    paths = []
    for number in range(1, images + 1):
        dataset.PixelData = np.roll(pixels, 6 * (number - 1), axis=1).tobytes()
        dataset["PixelData"].VR = "OW"
        _put_person(dataset, person)
        dataset.StudyInstanceUID = f"{ROOT}.{study}"
        dataset.SeriesInstanceUID = f"{ROOT}.{study}.1"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.{study}.1.{number}"
        dataset.StudyDescription, dataset.SeriesDescription = "CT head", "Axial 5 mm"
        dataset.StudyDate, dataset.StudyTime = "20261121", "101500"
        dataset.SeriesNumber, dataset.InstanceNumber = 1, number
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"ct{number:04d}.dcm"
        dataset.save_as(path)
        as_dcmtk_writes(path)
        paths.append(path)
    return paths


def as_dcmtk_writes(path: Path) -> None:
    """DCMTK's senders encode a dataset anew (lengths of sequences): write the file so that they send it as it is."""
    subprocess.run(["dcmconv", "-q", str(path), str(path)], check=True)


def _put_person(dataset: pydicom.Dataset, person: Person) -> None:
    dataset.PatientName, dataset.PatientID = person.name, person.patient_id
    dataset.PatientBirthDate, dataset.PatientSex = person.birth_date, person.sex


def fingerprints(files: Sequence[Path]) -> list[str]:
    """SHA-256 of each file's dataset (what follows the file meta information), sorted."""
    return sorted(hashlib.sha256(dataset_bytes(path)).hexdigest() for path in files)


def as_sent(sample_: Sample) -> str:
    return hashlib.sha256(dataset_bytes(sample_.path)).hexdigest()
