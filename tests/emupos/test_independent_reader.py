"""Our printer bytes, read by somebody else's idea of ESC/POS: emupos puts the very picture on paper that we drew."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from appliance.formats import escpos, printer_profiles
from tests import escpos_reader
from tests.ports.test_printer_port import URL, job, slip_picture

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parents[1] / "build/emupos"
PROCESS_ID_REQUEST = "1d 28 48 06 00 30 30 30 30 30 31"  # GS ( H, which emupos passes over


def newer_python() -> str | None:
    """A Python that emupos runs on; Debian 12 has none of its own."""
    names = [shutil.which(name) for name in ("python3.14", "python3.13")]
    names += sorted(map(str, Path.home().glob(".pyenv/versions/3.1[34]*/bin/python3")))
    for name in filter(None, names):
        if (
            subprocess.run(
                [name, "-c", "import sys; sys.exit(sys.version_info < (3, 13))"], capture_output=True
            ).returncode
            == 0
        ):
            return name
    return None


PYTHON = newer_python()
pytestmark = pytest.mark.skipif(not PYTHON, reason="emupos needs Python 3.13")

Reader = Callable[[bytes, int], tuple[dict[str, Any], list[Image.Image]]]


@pytest.fixture(scope="session")
def environment() -> Path:
    """Made at the first time, from the package registry, each file by its hash."""
    python, done = ENVIRONMENT / "bin/python", ENVIRONMENT / "done"
    if not done.exists():
        subprocess.run([str(PYTHON), "-m", "venv", ENVIRONMENT], check=True)
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
        subprocess.run([*install, "-r", HERE / "requirements.txt"], check=True)
        done.touch()
    return python


@pytest.fixture
def read(environment: Path, tmp_path: Path) -> Reader:
    def read(data: bytes, width: int) -> tuple[dict[str, Any], list[Image.Image]]:
        words = [environment, HERE / "render.py", str(width), tmp_path]
        said = json.loads(subprocess.run(words, input=data, check=True, stdout=subprocess.PIPE).stdout)
        pages = [(tmp_path / f"{number}.png").read_bytes() for number in range(1, said["slips"] + 1)]
        return said, [Image.open(io.BytesIO(page)) for page in pages]

    return read


@pytest.mark.parametrize("model", ["TM-T20II", "generic-80", "generic-80-mute"])
def test_the_paper_shows_our_picture_dot_for_dot_and_its_code_opens_the_link(read, model):
    said, (paper,) = read(job(model).data, 576)
    picture = Image.open(io.BytesIO(job(model).picture))
    assert paper.size == picture.size
    assert paper.tobytes() == picture.tobytes()
    assert escpos_reader.decode_qr(paper) == URL
    assert [one["bytes"] for one in said["unknown"]] == ([PROCESS_ID_REQUEST] if model == "TM-T20II" else [])


def test_on_58_mm_paper_too(read):
    profile = printer_profiles.find("generic-58")
    picture = slip_picture(profile.dots(58))
    _, (paper,) = read(escpos.slip(picture, profile, b"0001"), profile.dots(58))
    assert paper.tobytes() == picture.tobytes()
    assert escpos_reader.decode_qr(paper) == URL


def test_two_copies_are_two_papers(read):
    said, papers = read(job("generic-80").data * 2, 576)
    assert [escpos_reader.decode_qr(paper) for paper in papers] == [URL, URL]
    assert said["unknown"] == []


def test_a_slip_that_is_cut_short_is_noticed(read):
    said, papers = read(job().data[:40_000], 576)
    assert said["unknown"]
    assert all(paper.height < slip_picture(576).height for paper in papers)
