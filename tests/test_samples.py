"""The corpus is what the system tests take it for."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests import samples_made
from tests.samples import all_samples, dataset_bytes, distinct_samples, meta, nasties, sample
from tests.samples_made import CT_8_BIT, DX_DETECTOR, MakerMissingError, made
from tests.synthetic import CT, Kind, pixels

LOSSLESS = {
    "ct_implicit": (CT, 3),
    "ct_big_endian": (CT, 4),
    "ct_deflated": (CT, 5),
    "ct_rle": (CT, 6),
    "ct_jpeg_ls": (CT, 7),
    "ct_jpeg_2000_lossless": (CT, 9),
    "dx_jpeg_2000_lossless": (DX_DETECTOR, 11),
    "ct_htj2k_lossless": (CT, 20),
    "ct_htj2k_rpcl": (CT, 21),
}


def generated(name: str) -> pydicom.FileDataset:
    try:
        return pydicom.dcmread(made(name))
    except MakerMissingError as missing:
        pytest.skip(str(missing))


def test_the_corpus_has_the_kinds_that_departments_send() -> None:
    samples = all_samples()
    assert len(samples) > 250
    assert {"CT", "MR", "CR", "DX", "MG", "US", "NM", "XA", "RTDOSE", "RTPLAN", "SEG", "SR"} <= {
        s.modality for s in samples
    }
    assert len({s.transfer_syntax for s in samples}) >= 20
    assert len({s.sop_class for s in samples}) >= 20


def test_each_name_is_unique_and_found_again() -> None:
    samples = all_samples()
    assert len({s.name for s in samples}) == len(samples)
    assert sample("generated/mg_explicit").modality == "MG"


def test_distinct_samples_share_no_instance() -> None:
    instances = [s.sop_instance for s in distinct_samples()]
    assert len(set(instances)) == len(instances) > 150


def test_what_cannot_be_sent_says_why() -> None:
    assert {n.path.name for n in nasties()} >= {"DICOMDIR", "MR_truncated.dcm", "no_meta.dcm", "bad_sequence.dcm"}
    assert all(n.reason for n in nasties())


def test_the_dataset_is_what_follows_the_meta_information() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each in all_samples():
            group = meta(each.path)
            theirs = pydicom.filereader.read_file_meta_info(each.path)
            assert group.transfer_syntax == str(theirs.TransferSyntaxUID), each.name
            assert group.sop_instance == str(theirs.MediaStorageSOPInstanceUID), each.name
            assert len(dataset_bytes(each.path)) == each.path.stat().st_size - group.dataset_at, each.name


@pytest.mark.parametrize(("name", "kind", "number"), [(name, *what) for name, what in LOSSLESS.items()])
def test_lossless_samples_hold_the_pixels_they_were_made_from(name: str, kind: Kind, number: int) -> None:
    assert np.array_equal(generated(name).pixel_array, pixels(kind, number))


@pytest.mark.parametrize(
    ("name", "number", "most"), [("ct_jpeg_ls_near", 8, 2), ("ct_jpeg_2000", 10, 100), ("ct_htj2k", 22, 100)]
)
def test_lossy_samples_are_near_the_pixels_they_were_made_from(name: str, number: int, most: int) -> None:
    difference = generated(name).pixel_array.astype(int) - pixels(CT, number)
    assert 0 < abs(difference).max() <= most


def test_the_jpeg_xl_sample_holds_the_pixels_it_was_made_from(tmp_path: Path) -> None:
    frame = next(pydicom.encaps.generate_frames(generated("ct_jpeg_xl_lossless").PixelData, number_of_frames=1))
    assert frame.startswith(b"\xff\x0a")  # the bare codestream
    coded, decoded = tmp_path / "frame.jxl", tmp_path / "frame.raw"
    coded.write_bytes(frame)
    decode = ["ffmpeg", "-v", "error", "-i", coded, "-f", "rawvideo", "-pix_fmt", "gray", decoded]
    subprocess.run(decode, stdin=subprocess.DEVNULL, check=True, timeout=30)
    assert decoded.read_bytes() == pixels(CT_8_BIT, 30).astype("u1").tobytes()


@pytest.mark.parametrize(("name", "codec"), [("es_mpeg2", "mpeg2video"), ("es_h264", "h264"), ("es_hevc", "hevc")])
def test_the_video_samples_play(name: str, codec: str) -> None:
    stream = next(pydicom.encaps.generate_frames(generated(name).PixelData, number_of_frames=1))
    probe = [
        "ffprobe",
        "-v",
        "error",
        "-count_frames",
        "-show_entries",
        "stream=codec_name,nb_read_frames",
        "-of",
        "csv=p=0",
        "-",
    ]
    shown = subprocess.run(probe, input=stream, stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode()
    assert f"{codec},50" in shown


def test_the_pdf_sample_holds_a_pdf() -> None:
    assert generated("encapsulated_pdf").EncapsulatedDocument.startswith(b"%PDF-")


@pytest.mark.parametrize("name", ["mg_explicit", "ct_rle", "private_syntax", "ge_private_syntax"])
def test_samples_are_the_same_each_time_they_are_made(name: str) -> None:
    assert samples_made.MAKERS[name]() == made(name).read_bytes()
