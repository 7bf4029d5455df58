"""Two readers of QR codes that share no code: ZXing in C++, as many phone apps have it, and zbar, as many scanners do.

OpenCV's is left out: it misses codes on spotless pictures (docs/decisions/0014-codes.md).
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import zxingcpp
from PIL import Image

ZBAR = ["zbarimg", "--quiet", "--xml", "-Sdisable", "-Sqrcode.enable"]
BATCH_S = 100
SOURCE = "{http://zbar.sourceforge.net/2008/barcode}source"
TEXT = "{http://zbar.sourceforge.net/2008/barcode}data"


def zxing(picture: Image.Image) -> list[str]:
    codes = zxingcpp.read_barcodes(picture.convert("L"), formats=zxingcpp.BarcodeFormat.QRCode)
    return [str(code.text) for code in codes]


def zbar(pictures: Sequence[Image.Image], folder: Path) -> list[list[str]]:
    """Of each picture. One process for all: starting it takes longer than reading a code."""
    paths = [folder / f"{number}.pgm" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        picture.convert("L").save(path)
    # Status 4: on some picture there is nothing.
    run = subprocess.run([*ZBAR, *paths], capture_output=True, check=False, timeout=BATCH_S)
    if run.returncode not in (0, 4):
        raise RuntimeError(f"zbarimg: {run.stderr.decode(errors='replace')[-300:]}")
    found: dict[str, list[str]] = {}
    for source in ElementTree.fromstring(run.stdout).iter(SOURCE):
        found[source.attrib["href"]] = [str(text.text) for text in source.iter(TEXT)]
    return [found.get(str(path), []) for path in paths]
