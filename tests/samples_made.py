"""Samples of the kinds that no package carries, made here and cached under build/samples/.

Each maker returns one Part 10 file as bytes, or raises MakerMissingError when its tool is not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import compress
from pydicom.uid import RLELossless

from tests.synthetic import BIG, CT, DEFLATED, DX, IMPLICIT, LITTLE, MG, MR_SMALL, Kind, encode, header, part10, pixels

REPOSITORY = Path(__file__).parent.parent
CACHE = REPOSITORY / "build/samples/2"  # the number changes when a maker does
OPENJPH = REPOSITORY / "viewer/node_modules/@cornerstonejs/codec-openjph/dist/openjphjs.js"

JPEG_LS, JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS, JPEG_2000 = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
MPEG2, H264, HEVC = "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.107"
JPEG_XL_LOSSLESS, JPEG_XL = "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.112"
HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
GE_PRIVATE = "1.2.840.113619.5.2"
PRIVATE_SYNTAX = "1.2.826.0.1.3680043.10.1337.77.1"
PRIVATE_SOP_CLASS = "1.2.826.0.1.3680043.10.1337.77.2"
VIDEO_ENDOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"

DX_DETECTOR = Kind("DX", DX.sop_class, 2800, 2304, 14, 6000, 90)
CT_8_BIT = Kind("CT", CT.sop_class, 256, 256, 8, 120, 6)
STUDY = 7000


class MakerMissingError(Exception):
    """The tool that makes a sample is not on this machine."""


def image(kind: Kind, number: int) -> Dataset:
    dataset = header(kind, STUDY, 1, number)
    dataset.PixelData = pixels(kind, number).tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def finish(dataset: Dataset, transfer_syntax: str, *, implicit: bool = False, little: bool = True) -> bytes:
    encoded = encode(dataset, implicit=implicit, little=little)
    if transfer_syntax == DEFLATED:
        deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        encoded = deflater.compress(encoded) + deflater.flush()
        encoded += b"\0" * (len(encoded) % 2)  # PS3.5 A.5
    return part10(dataset.SOPClassUID, dataset.SOPInstanceUID, transfer_syntax, encoded)


def native(kind: Kind, number: int, transfer_syntax: str) -> bytes:
    dataset = image(kind, number)
    if transfer_syntax == BIG:
        dataset.PixelData = pixels(kind, number).astype(">u2").tobytes()
    return finish(dataset, transfer_syntax, implicit=transfer_syntax == IMPLICIT, little=transfer_syntax != BIG)


def compressed(kind: Kind, number: int, transfer_syntax: str, **options: object) -> bytes:
    """With the encoders that pydicom knows: RLE, JPEG-LS (pyjpegls), JPEG 2000 (pylibjpeg-openjpeg)."""
    dataset = image(kind, number)
    dataset.file_meta = _uncompressed_meta()
    compress(dataset, transfer_syntax, generate_instance_uid=False, **options)
    return finish(dataset, transfer_syntax)


def _uncompressed_meta() -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = LITTLE
    return meta


def with_frames(dataset: Dataset, transfer_syntax: str, frames: list[bytes]) -> bytes:
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return finish(dataset, transfer_syntax)


def htj2k(number: int, transfer_syntax: str) -> bytes:
    """OpenJPH in WebAssembly: the encoder the patient's page already ships the decoder of."""
    program = f"""
        const fs = require('fs');
        require({str(OPENJPH)!r})().then(codec => {{
            const encoder = new codec.HTJ2KEncoder();
            encoder.getDecodedBuffer({{width: 512, height: 512, bitsPerSample: 16, componentCount: 1, isSigned: false,
                isUsingColorTransform: false}}).set(fs.readFileSync(0));
            encoder.setQuality({"false, 0.0003" if transfer_syntax == HTJ2K else "true, 0"});
            encoder.setProgressionOrder({2 if transfer_syntax == HTJ2K_RPCL else 0});
            encoder.encode();
            fs.writeSync(1, encoder.getEncodedBuffer());
        }});"""
    frame = run(["node", "-e", program], pixels(CT, number).tobytes(), needs=OPENJPH)
    return with_frames(header(CT, STUDY, 1, number), transfer_syntax, [frame])


def jpeg_xl(number: int, transfer_syntax: str) -> bytes:
    kind = CT_8_BIT
    dataset = header(kind, STUDY, 1, number)
    dataset.BitsAllocated, dataset.LargestImagePixelValue = 8, 255
    source = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{kind.columns}x{kind.rows}", "-i", "-"]
    distance = "0" if transfer_syntax == JPEG_XL_LOSSLESS else "1"
    encoder = ["-c:v", "libjxl", "-distance", distance, "-f", "image2pipe", "-"]
    frame = run(["ffmpeg", "-v", "error", *source, *encoder], pixels(kind, number).astype("u1").tobytes())
    return with_frames(dataset, transfer_syntax, [frame])


VIDEO_OPTIONS = {
    MPEG2: ["-c:v", "mpeg2video", "-b:v", "2M", "-f", "mpegts"],
    H264: ["-c:v", "libx264", "-profile:v", "high", "-level", "4.1", "-movflags", "+faststart", "-f", "mp4"],
    HEVC: ["-c:v", "libx265", "-x265-params", "log-level=none", "-movflags", "+faststart", "-f", "mp4"],
}


def video(number: int, transfer_syntax: str) -> bytes:
    """PS3.5 8.2.5-8.2.9: the whole stream is one frame's worth of fragments."""
    dataset = header(Kind("ES", VIDEO_ENDOSCOPIC, 480, 640, 8, 0, 0), STUDY, 2, number)
    dataset.NumberOfFrames, dataset.SamplesPerPixel, dataset.BitsAllocated = 50, 3, 8
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "YBR_PARTIAL_420", 0
    dataset.CineRate, dataset.FrameTime, dataset.LargestImagePixelValue = 25, "40", 255
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "video")
        source = ["-f", "lavfi", "-i", "testsrc2=size=640x480:rate=25:duration=2", "-pix_fmt", "yuv420p"]
        bit_exact = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-threads", "1"]
        run(["ffmpeg", "-v", "error", *source, *bit_exact, *VIDEO_OPTIONS[transfer_syntax], str(out)])
        return with_frames(dataset, transfer_syntax, [out.read_bytes()])


def pdf() -> bytes:
    """By dcmtk's pdf2dcm, as report senders do; the page is as small as a page can be."""
    page = (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    )
    keys = {
        "PatientName": f"Example^Ada^Quinn {STUDY}",
        "PatientID": f"INV{STUDY:07d}",
        "PatientBirthDate": "19530417",
        "SOPInstanceUID": f"{header(CT, STUDY, 3, 1).SOPInstanceUID}",
    }
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "report.pdf"), Path(folder, "report.dcm")
        source.write_bytes(page)
        options = [word for key, value in keys.items() for word in ("-k", f"{key}={value}")]
        run(["pdf2dcm", *options, str(source), str(out)])
        return out.read_bytes()


def run(command: list[str], stdin: bytes = b"", needs: Path | None = None) -> bytes:
    if shutil.which(command[0]) is None or (needs and not needs.exists()):
        raise MakerMissingError(f"{needs or command[0]} is not installed")
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True, timeout=60).stdout


def private_class() -> bytes:
    dataset = image(MR_SMALL, 60)
    dataset.SOPClassUID = PRIVATE_SOP_CLASS
    return finish(dataset, LITTLE)


def uncompressed_frames() -> bytes:
    return with_frames(header(CT, STUDY, 1, 61), ENCAPSULATED_UNCOMPRESSED, [pixels(CT, 61).tobytes()])


def ge_private() -> bytes:
    """Implicit little endian, except that the pixels are big endian."""
    dataset = image(CT, 62)
    dataset.PixelData = pixels(CT, 62).astype(">u2").tobytes()
    return finish(dataset, GE_PRIVATE, implicit=True)


MAKERS: dict[str, Callable[[], bytes]] = {
    "mg_explicit": lambda: native(MG, 1, LITTLE),
    "dx_explicit": lambda: native(DX_DETECTOR, 2, LITTLE),
    "ct_implicit": lambda: native(CT, 3, IMPLICIT),
    "ct_big_endian": lambda: native(CT, 4, BIG),
    "ct_deflated": lambda: native(CT, 5, DEFLATED),
    "ct_rle": lambda: compressed(CT, 6, RLELossless),
    "ct_jpeg_ls": lambda: compressed(CT, 7, JPEG_LS),
    "ct_jpeg_ls_near": lambda: compressed(CT, 8, JPEG_LS_NEAR, jls_error=2),
    "ct_jpeg_2000_lossless": lambda: compressed(CT, 9, JPEG_2000_LOSSLESS),
    "ct_jpeg_2000": lambda: compressed(CT, 10, JPEG_2000, j2k_cr=[8]),
    "dx_jpeg_2000_lossless": lambda: compressed(DX_DETECTOR, 11, JPEG_2000_LOSSLESS),
    "ct_htj2k_lossless": lambda: htj2k(20, HTJ2K_LOSSLESS),
    "ct_htj2k_rpcl": lambda: htj2k(21, HTJ2K_RPCL),
    "ct_htj2k": lambda: htj2k(22, HTJ2K),
    "ct_jpeg_xl_lossless": lambda: jpeg_xl(30, JPEG_XL_LOSSLESS),
    "ct_jpeg_xl": lambda: jpeg_xl(31, JPEG_XL),
    "es_mpeg2": lambda: video(40, MPEG2),
    "es_h264": lambda: video(41, H264),
    "es_hevc": lambda: video(42, HEVC),
    "encapsulated_pdf": pdf,
    "private_sop_class": private_class,
    "private_syntax": lambda: native(MR_SMALL, 63, PRIVATE_SYNTAX),
    "ge_private_syntax": ge_private,
    "encapsulated_uncompressed": uncompressed_frames,
}


@cache
def made(name: str) -> Path:
    """The sample's file, made on first use. Safe for several processes at once: the last rename wins."""
    path = CACHE / f"{name}.dcm"
    if not path.exists():
        content = MAKERS[name]()
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(content)
        fresh.replace(path)
    return path
