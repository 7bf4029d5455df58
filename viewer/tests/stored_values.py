"""Frame 0 of DICOM files as pydicom reads it, for tests/oracle.test.ts: one file each in the output folder.

usage: stored_values.py OUT_DIR FILE...      writes OUT_DIR/<n>.bin (little endian) and prints one JSON line a file
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy
import pydicom
from pydicom.pixels import pixel_array
from pydicom.pixels.processing import apply_color_lut


def frame_zero(path: str) -> numpy.ndarray:
    dataset = pydicom.dcmread(path, force=True)
    values = pixel_array(dataset, index=0)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        values = apply_color_lut(values, dataset)
    return values


def main() -> None:
    warnings.simplefilter("ignore")
    out = Path(sys.argv[1])
    for n, path in enumerate(sys.argv[2:]):
        try:
            values = frame_zero(path)
            wide = values.astype("<i8")
            (out / f"{n}.bin").write_bytes(wide.tobytes())
            row = {"shape": values.shape}
        except (AttributeError, KeyError, RuntimeError, ValueError) as error:  # what pydicom cannot read is no oracle
            row = {"error": f"{type(error).__name__}: {error}"[:200]}
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
