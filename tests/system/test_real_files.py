"""Real files of every kind: whatever a modality may send goes through bit for bit, and the page shows or lists it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest

from tests import escpos_reader
from tests.bench.loads import Instance, Load
from tests.bench.sender import send
from tests.samples import Sample, distinct_samples, meta
from tests.system.harness import Box, dcmsend, eventually, loop, open_link
from tests.system.phone import phone
from tests.system.study import Person, as_sent, fingerprints

OPEN_TO_ALL = 'ae_title = "SHARE"\nsecond_factor = "none"\nquiet_seconds = 2'
CONTEXTS_MAX = 100  # of one association; the standard allows 128


def as_instance(sample: Sample) -> Instance:
    at = meta(sample.path).dataset_at
    size = sample.path.stat().st_size - at
    return Instance(str(sample.path), sample.sop_class, sample.sop_instance, sample.transfer_syntax, at, size)


def batches(instances: list[Instance]) -> Iterator[tuple[Instance, ...]]:
    """Runs of instances that fit one association's presentation contexts."""
    batch: list[Instance] = []
    for instance in instances:
        kinds = {(one.sop_class, one.transfer_syntax) for one in [*batch, instance]}
        if len(kinds) > CONTEXTS_MAX:
            yield tuple(batch)
            batch = []
        batch.append(instance)
    yield tuple(batch)


def release_held(box: Box) -> None:
    for share in box.ask("shares", "list", "--held"):
        box.command("shares", "release", share["id"])


def links_of(slips: Path) -> list[str]:
    return [escpos_reader.decode_qr(escpos_reader.slips(path.read_bytes())[0]) for path in sorted(slips.glob("*.bin"))]


@pytest.mark.timeout(600)
def test_every_real_file_comes_out_as_it_went_in(tmp_path: Path) -> None:
    samples = distinct_samples()
    instances = [as_instance(sample) for sample in samples]
    with loop(tmp_path, profile=OPEN_TO_ALL) as (_, box):
        for batch in batches(instances):
            answer = send(Load("real files", tmp_path, batch), "127.0.0.1", box.port, "SHARE")
            assert answer["acknowledged"] == len(batch), "each was answered with status 0000"
        release_held(box)
        eventually(lambda: all_relayed(box, len(samples)), 120, "all of it at the vault")
        slips = tmp_path / "slips"
        count = len(box.ask("shares", "list"))
        eventually(lambda: len(list(slips.glob("*.png"))) == count, 120, "a slip for each share")
        with ThreadPoolExecutor(3) as pool:
            opened = pool.map(lambda pair: files_of(pair[1], tmp_path / f"opened{pair[0]}"), enumerate(links_of(slips)))
            files = [path for found in opened for path in found]
    assert fingerprints(files) == sorted(map(as_sent, samples))


def all_relayed(box: Box, count: int) -> bool:
    shares = box.ask("shares", "list")
    status = box.ask("status")
    done = sum(share["at_vault"] for share in shares)
    return bool(done == count and status["objects_waiting"] == 0)


def files_of(link: str, to: Path) -> list[Path]:
    """Open until nothing is on its way any more."""

    def try_once() -> list[Path] | None:
        done = open_link(link, to, "", check=False)
        if done.returncode != 0:
            return None
        value = json.loads(done.stdout)
        return [Path(file["path"]) for file in value["files"]] if value["written"] == value["received"] else None

    return eventually(try_once, 60, "a share whose images are all there")


def one_person(sample: Sample, to: Path, person: Person, study: str) -> Path:
    """A copy whose particulars are this person's; the pixels and the transfer syntax stay."""
    to.write_bytes(sample.path.read_bytes())
    changes = {
        "0010,0010": person.name,
        "0010,0020": person.patient_id,
        "0010,0021": "SLIPWAY",
        "0010,0030": person.birth_date,
        "0010,0040": person.sex,
        "0020,000d": study,
    }
    words = [word for tag, value in changes.items() for word in ("-i", f"({tag})={value}")]
    subprocess.run(["dcmodify", "-q", "-nb", *words, str(to)], check=True)
    return to


def test_what_the_page_cannot_draw_is_listed_with_a_download(tmp_path: Path) -> None:
    person = Person()
    drawn, listed = ("MG", "DX", "CT", "MR", "US"), ("SR", "DOC", "RTPLAN", "ES")
    chosen: dict[str, Sample] = {}
    for sample in distinct_samples():
        if sample.modality in drawn + listed and sample.source != "jpeg-lossless-decoder-js":
            chosen.setdefault(sample.modality, sample)
    chosen["ES"] = next(one for one in distinct_samples() if one.name == "generated/es_h264")
    (tmp_path / "study").mkdir()
    files = [
        one_person(sample, tmp_path / "study" / f"{kind}.dcm", person, "1.2.826.0.1.3680043.10.1733.9.77")
        for kind, sample in chosen.items()
    ]
    with loop(tmp_path) as (_, box), phone() as browser:
        dcmsend(box.port, files)
        slips = tmp_path / "slips"
        eventually(lambda: next(iter(slips.glob("*.png")), None), 30, "a slip")
        browser.open(links_of(slips)[0])
        browser.prove(person.birth_date)
        browser.says(f"\n{len(files)} images are here")  # not "5 of 9 images are here"
        series = {str(pydicom.dcmread(tmp_path / "study" / f"{kind}.dcm").SeriesInstanceUID) for kind in drawn}
        assert len(browser.all("series-item")) == len(series), browser.text()
        assert len(browser.all("file-item")) == len(listed), browser.text()
        assert len(browser.all("file-download")) == len(listed)
        browser.picture(tmp_path / "list.png")
