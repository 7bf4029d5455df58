"""What a picture must look like: pydicom's decoding and the standard's formula, independent of the page's code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels import apply_modality_lut


def displayed(path: Path, frame: int = 0) -> npt.NDArray[np.uint8]:
    """Rows x columns of grey, 0 to 255, through the file's first window (PS3.3 C.11.2.1.2.1, LINEAR)."""
    dataset = pydicom.dcmread(path)
    values = apply_modality_lut(dataset.pixel_array, dataset)
    values = values[frame] if values.ndim == 3 else values
    centre, width = _first(dataset.WindowCenter), _first(dataset.WindowWidth)
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    grey = ((values - (centre - 0.5)) / (width - 1) + 0.5) * 255
    return np.where(values <= low, 0, np.where(values > high, 255, np.round(grey))).astype(np.uint8)


def _first(value: object) -> float:
    return float(value[0]) if isinstance(value, pydicom.multival.MultiValue) else float(value)  # type: ignore[arg-type]
