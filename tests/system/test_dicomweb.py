"""A study sent over HTTP, as a system without DIMSE does it, comes out on paper like any other."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.printers import ConfirmingPrinter
from tests.system.dicomweb import make_token, sender_to, settings
from tests.system.harness import dcmsend, eventually, loop, open_all
from tests.system.study import Person, ct_series, fingerprints
from tests.system.tcp_printer import listening

PERSON = Person()
STUDY = "studies/1.2.826.0.1.3680043.10.1733.9.1"


def test_a_study_sent_over_http_becomes_one_slip_and_comes_out_bit_for_bit(tmp_path: Path) -> None:
    """Sent twice, and half of it over DIMSE as well: still one slip, and each image once."""
    study = ct_series(tmp_path / "study", 8, PERSON)
    with listening(ConfirmingPrinter()) as printer, loop(tmp_path, printer.device) as (_, box):
        box.stop()
        box.extra = settings("RIS")
        sender_token = make_token(box, "RIS")
        box.start()
        sender = sender_to(box, sender_token)
        for _ in range(2):
            status, answer = sender.curl(study, path=STUDY)
            assert status == 200
            assert len(answer["00081199"]["Value"]) == len(study)
        dcmsend(box.port, study[:4])
        files = open_all(printer.job().link, tmp_path / "opened", PERSON.birth_date, len(study))
        assert fingerprints(files) == fingerprints(study)
        assert len(printer.machine.jobs) == 1
        said = eventually(lambda: transfers(box.command("audit", "list").stdout, 3), 20, "the audit trail has it")
        assert any("RIS at 127.0.0.1 sent 8 images of a study to SHARE" in line for line in said)
        log = box.program.log.read_text() if box.program else ""
    assert not any(word in log for word in (PERSON.name, PERSON.patient_id, sender_token, STUDY))


def transfers(trail: str, count: int) -> list[str] | None:
    found = [line for line in trail.splitlines() if " images of a study" in line]
    return found if len(found) >= count else None
