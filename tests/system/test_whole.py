"""Whether all of a study is here, as told to everybody: the patient's page, `slipway open`, `slipway shares show`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom.sop_class import InstanceAvailabilityNotification  # type: ignore[attr-defined]

from tests.fakes.printers import ConfirmingPrinter
from tests.system.harness import BIN, Box, dcmsend, eventually, loop, run
from tests.system.phone import phone
from tests.system.study import Person, ct_series
from tests.system.tcp_printer import listening
from tests.system.test_services import calling, listed, shares, study_uid

PERSON = Person()


def announce(box: Box, files: Sequence[Path]) -> None:
    """As the PACS does when it has a whole study."""
    note, series = Dataset(), Dataset()
    note.ReferencedPerformedProcedureStepSequence, note.StudyInstanceUID = [], study_uid(files)
    series.SeriesInstanceUID, series.ReferencedSOPSequence = generate_uid(), listed(files)
    for item in series.ReferencedSOPSequence:
        item.InstanceAvailability, item.RetrieveAETitle = "ONLINE", "PACS"
    note.ReferencedSeriesSequence = [series]
    with calling(box, InstanceAvailabilityNotification) as association:
        status, _ = association.send_n_create(note, InstanceAvailabilityNotification, generate_uid())
        assert status.Status == 0


def show(box: Box) -> str:
    """On one line: how a terminal wraps it does not matter here."""
    return " ".join(box.command("shares", "show", shares(box)[0]["id"]).stdout.split())


def test_what_is_missing_is_told_to_the_patient_a_doctor_and_staff_until_it_comes(tmp_path: Path) -> None:
    files = ct_series(tmp_path / "study", 5, PERSON)
    with listening(ConfirmingPrinter()) as printer, loop(tmp_path, printer.device) as (_, box), phone() as browser:
        announce(box, files)
        dcmsend(box.port, files[:3])
        link = printer.job().link
        browser.open(link)
        browser.prove(PERSON.birth_date)
        browser.says("3 of 5 images are here. 2 have not arrived.")

        opening: list[str | Path] = [
            BIN / "slipway",
            "open",
            link,
            "--to",
            tmp_path / "opened",
            "--factor",
            PERSON.birth_date,
        ]
        assert "WARNING: 2 of 5 image(s) have not reached the box" in run(opening).stdout
        value = json.loads(run([*opening, "--json"]).stdout)
        assert value["verdict"] == {"source": "notification", "received": 3, "expected": 5, "missing": 2}
        assert "Now: 2 of 5 images are missing." in show(box)

        dcmsend(box.port, files[3:])
        browser.says("5 of 5 images are here, checked with the hospital’s archive.")
        assert browser.find("news-text").text == "2 new images have arrived"
        assert "WARNING" not in run(opening).stdout
        eventually(lambda: "All 5 images are at the vault." in show(box), 10, "the end of the story")
        assert "2 more images came from CT1; the same slip shows them." in show(box)
        assert len(printer.machine.jobs) == 1
