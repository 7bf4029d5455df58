"""`slipway pull` with the real programs: Orthanc is the PACS, and the slip comes out of the box."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom.sop_class import UnifiedProcedureStepPush  # type: ignore[attr-defined]

from tests import escpos_reader
from tests.interop.orthanc import Orthanc
from tests.system.harness import BIN, Box, Vault, eventually, loop, open_all
from tests.system.study import Person, as_dcmtk_writes, ct_series, fingerprints
from tests.system.test_services import calling

IMAGES = 6
WITHIN_S = 60
PERSON = Person()


def settings(orthanc: Orthanc, retrieve: str) -> str:
    return f"""
[[dicom.peer]]
ae_title = "ORTHANC"
address = "127.0.0.1"
port = {orthanc.port}
[pacs]
peer = "ORTHANC"
retrieve = "{retrieve}"
check_again_seconds = 1
"""


def study(folder: Path, number: int, accession: str, person: Person = PERSON) -> list[Path]:
    files = ct_series(folder, IMAGES, person, number)
    for path in files:
        dataset = pydicom.dcmread(path)
        dataset.AccessionNumber = accession
        dataset.save_as(path)
        as_dcmtk_writes(path)
    return files


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    orthanc = Orthanc(tmp_path_factory.mktemp("pacs") / "orthanc")
    yield orthanc
    orthanc.stop()


@pytest.fixture(scope="module")
def scanner() -> Iterator[tuple[int, str]]:
    """A serial line: where to write what is scanned, and the setting of its other end."""
    ours, line = pty.openpty()
    yield ours, f'[scanner]\ndevice = "serial://{os.ttyname(line)}"\nreads = "accession"\n'
    os.close(ours)
    os.close(line)


@pytest.fixture(scope="module")
def house(
    orthanc: Orthanc, scanner: tuple[int, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Vault, Box]]:
    profile = 'ae_title = "SHARE"\nquiet_seconds = 30\nvisit_hours = 1'
    with loop(tmp_path_factory.mktemp("box"), extra=settings(orthanc, "move") + scanner[1], profile=profile) as (
        vault,
        box,
    ):
        orthanc.knows_box_at(box.port)
        yield vault, box


def use(box: Box, retrieve: str) -> None:
    if f'retrieve = "{retrieve}"' not in box.extra:
        box.stop()
        box.extra = box.extra.replace('retrieve = "move"', f'retrieve = "{retrieve}"')
        box.start()


@pytest.mark.parametrize(("retrieve", "number"), [("move", 31), ("get", 32)])
def test_a_study_is_pulled_by_accession_number_checked_and_opened(
    retrieve: str, number: int, orthanc: Orthanc, house: tuple[Vault, Box], tmp_path: Path
) -> None:
    box, accession = house[1], f"ACC-{number}"
    files = study(tmp_path / "study", number, accession, Person(name=f"Pull^{retrieve}", patient_id=f"PULL-{number}"))
    orthanc.holds(files)
    use(box, retrieve)
    done = box.command("pull", "--accession", accession)
    assert f": {IMAGES} of {IMAGES} images, checked with the PACS." in done.stdout
    slip = done.stdout.split()[1].rstrip(":")
    link = escpos_reader.decode_qr(escpos_reader.slips((box.folder.parent / "slips" / f"{slip}.bin").read_bytes())[0])
    opened = open_all(link, tmp_path / "opened", PERSON.birth_date, IMAGES)
    assert fingerprints(opened) == fingerprints(files)

    again = box.ask("pull", "--accession", accession)
    assert (again["already"], [one["number"] for one in again["slips"]]) == (True, [slip])
    assert accession not in (box.folder / "box.log").read_text()


def test_a_workitem_with_an_accession_number_alone_is_pulled(
    orthanc: Orthanc, house: tuple[Vault, Box], tmp_path: Path
) -> None:
    box, uid = house[1], generate_uid()
    orthanc.holds(study(tmp_path / "study", 35, "ACC-35", Person(name="Pull^Pushed", patient_id="PULL-35")))
    item, asked = Dataset(), Dataset()
    item.ProcedureStepState, item.ReferencedRequestSequence = "SCHEDULED", [asked]
    asked.AccessionNumber = "ACC-35"
    with calling(box, UnifiedProcedureStepPush) as association:
        assert association.send_n_create(item, UnifiedProcedureStepPush, uid)[0].Status == 0

        def completed() -> bool:
            _, told = association.send_n_get([], UnifiedProcedureStepPush, uid)
            assert told.ProcedureStepState != "CANCELED"
            return bool(told.ProcedureStepState == "COMPLETED")

        assert eventually(completed, WITHIN_S, "the workitem completed")
    share = box.ask("requests", "list")[0]["share"]
    assert f"{IMAGES} of {IMAGES} images" in box.command("shares", "show", share).stdout
    assert "ACC-35" not in (box.folder / "box.log").read_text()


def test_what_is_not_there_and_what_goes_on_alone_are_said(
    orthanc: Orthanc, house: tuple[Vault, Box], tmp_path: Path
) -> None:
    box = house[1]
    none = box.command("pull", "--accession", "NONE", check=False)
    assert (none.returncode, "no study with this accession number" in none.stderr) == (1, True)
    orthanc.holds(study(tmp_path / "study", 33, "ACC-33", Person(name="Pull^Alone", patient_id="PULL-33")))
    said = box.ask("pull", "--study", "1.2.826.0.1.3680043.10.1733.9.33", "--no-wait")
    assert said["state"] in ("pending", "creating")
    eventually(lambda: _state(box, said["id"]) in ("creating", "done"), WITHIN_S, "the pull goes on by itself")
    assert any(one["kind"] == "pull" for one in box.ask("requests", "list"))


def _state(box: Box, request: int) -> str:
    return next(str(one["state"]) for one in box.ask("pull", "list") if one["id"] == request)


def test_a_scanned_accession_number_is_a_slip_and_one_that_is_not_there_a_short_paper(
    orthanc: Orthanc, house: tuple[Vault, Box], scanner: tuple[int, str], tmp_path: Path
) -> None:
    box, slips = house[1], house[1].folder.parent / "slips"
    orthanc.holds(study(tmp_path / "study", 34, "ACC-34", Person(name="Pull^Scanned", patient_id="PULL-34")))
    before = set(slips.iterdir())
    os.write(scanner[0], b"ACC-34\r\n")
    slip = eventually(lambda: next((one for one in set(slips.glob("S-*.bin")) - before), None), WITHIN_S, "a slip")
    assert escpos_reader.decode_qr(escpos_reader.slips(slip.read_bytes())[0])
    os.write(scanner[0], b"NO-SUCH-77\r\n")
    eventually((slips / "NOTICE.bin").exists, WITHIN_S, "a paper that says so")
    log = (box.folder / "box.log").read_text()
    assert "what was scanned: the PACS has no study with this accession number" in log
    assert not any(number in log for number in ("ACC-34", "NO-SUCH-77"))


def test_a_pacs_that_is_down_is_said_by_the_command_and_by_the_status(
    orthanc: Orthanc, house: tuple[Vault, Box]
) -> None:
    box = house[1]
    port = orthanc.port
    box.stop()
    box.extra = settings(orthanc, "move").replace(f"port = {port}", "port = 1")
    box.start()
    done = box.command("pull", "--accession", "ACC-31", check=False)
    assert (done.returncode, "nobody takes the connection to ORTHANC at 127.0.0.1:1" in done.stderr) == (1, True)
    said = json.loads(box.command("status", "--json", check=False).stdout)
    assert "nobody takes the connection" in said["pacs_error"]
    assert any("Studies are shared without being checked" in one["what"] for one in said["sentences"])


def test_without_a_pacs_the_command_says_what_to_set(tmp_path: Path) -> None:
    box = Box(tmp_path / "box", "none")
    box.start()
    try:
        done = box.command("pull", "--accession", "1", check=False)
    finally:
        box.stop()
    assert (done.returncode, "Set [pacs] peer" in done.stderr) == (1, True)


def test_the_shell_completes_profiles(house: tuple[Vault, Box]) -> None:
    line = f"slipway pull --config {house[1].config} --to S"
    environment = {"_SLIPWAY_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "5"}
    done = subprocess.run([BIN / "slipway"], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split() == ["SHARE"]
