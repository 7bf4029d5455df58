"""The box as a CD robot, and what it makes of announcements: pynetdicom as the SCU of another hand, real programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, Association, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    InstanceAvailabilityNotification,
    MediaCreationManagement,
    ModalityPerformedProcedureStep,
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
    UPSGlobalSubscriptionInstance,
)

from appliance.adapters.pacs_checkpoint import steady
from tests.fakes.printers import ConfirmingPrinter
from tests.samples import meta
from tests.system.harness import Box, Vault, dcmsend, eventually, loop, open_all
from tests.system.study import Person, ct_series, fingerprints
from tests.system.tcp_printer import ListeningPrinter, listening

PERSON = Person()
ROBOT = 'ae_title = "SHARE"\nquiet_seconds = 2\nprint = "request"'
PRINTS_WHEN_COMPLETE = 'ae_title = "SHARE"\nquiet_seconds = 30\nprint = "complete"'


@pytest.fixture
def printer() -> Iterator[ListeningPrinter]:
    with listening(ConfirmingPrinter()) as found:
        yield found


@pytest.fixture
def robot(tmp_path: Path, printer: ListeningPrinter) -> Iterator[tuple[Vault, Box]]:
    with loop(tmp_path, printer.device, profile=ROBOT) as both:
        yield both


@pytest.fixture
def patient(tmp_path: Path, printer: ListeningPrinter) -> Iterator[Box]:
    """A box that prints once a study is known to be complete, or after long silence."""
    with loop(tmp_path, printer.device, profile=PRINTS_WHEN_COMPLETE) as (_, box):
        yield box


@contextmanager
def calling(box: Box, sop_class: str) -> Iterator[Association]:
    ae = AE(ae_title="PACS")
    ae.add_requested_context(sop_class)
    association = steady(ae.associate("127.0.0.1", box.port, ae_title="SHARE"))
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def listed(files: Sequence[Path]) -> list[Dataset]:
    items = []
    for file in files:
        item, group = Dataset(), meta(file)
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = group.sop_class, group.sop_instance
        items.append(item)
    return items


def burn(box: Box, files: Sequence[Path], *, copies: int = 1, **said: str) -> str:
    """What a PACS does when somebody presses its burn button; the request's UID."""
    request, how = Dataset(), Dataset()
    request.ReferencedSOPSequence = listed(files)
    for keyword, value in said.items():
        setattr(request, keyword, value)
    how.NumberOfCopies = copies
    with calling(box, MediaCreationManagement) as association:
        uid = generate_uid()
        status, _ = association.send_n_create(request, MediaCreationManagement, uid)
        assert status.Status == 0
        status, _ = association.send_n_action(how, 1, MediaCreationManagement, uid)
        assert status.Status == 0
    return str(uid)


def told(box: Box, uid: str) -> Any:
    with calling(box, MediaCreationManagement) as association:
        status, progress = association.send_n_get([], MediaCreationManagement, uid)
        assert status.Status == 0
        return progress


def done(box: Box, uid: str) -> Any:
    def look() -> Any:
        progress = told(box, uid)
        assert progress.ExecutionStatus != "FAILURE"
        return progress if progress.ExecutionStatus == "DONE" else None

    return eventually(look, 60, "the request done")


def test_burning_to_the_box_prints_a_slip_that_opens_what_was_asked_for(
    robot: tuple[Vault, Box], printer: ListeningPrinter, tmp_path: Path
) -> None:
    _, box = robot
    files = ct_series(tmp_path / "study", 4, PERSON)
    dcmsend(box.port, files)
    uid = burn(box, files, LabelText="CT head, for the clinic", BarcodeValue="A4711", MediaDisposition="Dr Lindqvist")
    job = printer.job()
    assert done(box, uid).TotalNumberOfPiecesOfMediaCreated == 1
    assert fingerprints(open_all(job.link, tmp_path / "opened", PERSON.birth_date, 4)) == fingerprints(files)
    assert "4 of 4 images are here, as they were asked for" in story(box)


def shares(box: Box) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = box.ask("shares", "list")
    return found


def test_two_copies_are_one_code_twice(robot: tuple[Vault, Box], printer: ListeningPrinter, tmp_path: Path) -> None:
    _, box = robot
    files = ct_series(tmp_path / "study", 2, PERSON)
    dcmsend(box.port, files)
    uid = burn(box, files, copies=2)
    assert done(box, uid).TotalNumberOfPiecesOfMediaCreated == 2
    assert printer.job(1).link == printer.job(2).link


def test_a_request_outlives_a_box_that_is_killed(
    robot: tuple[Vault, Box], printer: ListeningPrinter, tmp_path: Path
) -> None:
    _, box = robot
    files = ct_series(tmp_path / "study", 3, PERSON)
    dcmsend(box.port, files[:2])
    uid = burn(box, files)
    assert box.program is not None
    box.program.kill()
    box.start()
    assert told(box, uid).ExecutionStatus == "PENDING"
    dcmsend(box.port, files[2:])
    assert printer.job().link
    done(box, uid)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with loop(tmp_path, profile=ROBOT) as (_, box):
        files = ct_series(tmp_path / "study", 2, PERSON)
        dcmsend(box.port, files[:1])
        uid = burn(box, files)
        assert told(box, uid).ExecutionStatus == "PENDING"
        assert not list((tmp_path / "slips").iterdir())


def test_an_announcement_from_the_pacs_makes_a_study_complete_and_the_slip_says_so(
    patient: Box, printer: ListeningPrinter, tmp_path: Path
) -> None:
    files = ct_series(tmp_path / "study", 3, PERSON)
    note, series = Dataset(), Dataset()
    note.ReferencedPerformedProcedureStepSequence, note.StudyInstanceUID = [], study_uid(files)
    series.SeriesInstanceUID, series.ReferencedSOPSequence = generate_uid(), listed(files)
    for item in series.ReferencedSOPSequence:
        item.InstanceAvailability, item.RetrieveAETitle = "ONLINE", "PACS"
    note.ReferencedSeriesSequence = [series]
    with calling(patient, InstanceAvailabilityNotification) as association:
        status, _ = association.send_n_create(note, InstanceAvailabilityNotification, generate_uid())
        assert status.Status == 0
    dcmsend(patient.port, files)
    assert printer.job(1, 20).link
    assert "3 of 3 images are here, as the PACS announced them" in story(patient)


def test_a_completed_performed_procedure_step_makes_a_study_complete(
    patient: Box, printer: ListeningPrinter, tmp_path: Path
) -> None:
    files, uid = ct_series(tmp_path / "study", 3, PERSON), generate_uid()
    begun, scheduled, ended, series = Dataset(), Dataset(), Dataset(), Dataset()
    scheduled.StudyInstanceUID = study_uid(files)
    begun.ScheduledStepAttributesSequence = [scheduled]
    begun.PerformedProcedureStepStatus, begun.PerformedSeriesSequence = "IN PROGRESS", []
    series.SeriesInstanceUID, series.ReferencedImageSequence = generate_uid(), listed(files)
    ended.PerformedProcedureStepStatus, ended.PerformedSeriesSequence = "COMPLETED", [series]
    with calling(patient, ModalityPerformedProcedureStep) as association:
        assert association.send_n_create(begun, ModalityPerformedProcedureStep, uid)[0].Status == 0
        dcmsend(patient.port, files)
        assert association.send_n_set(ended, ModalityPerformedProcedureStep, uid)[0].Status == 0
    assert printer.job(1, 20).link
    assert "3 of 3 images are here, as the modality reported them" in story(patient)


def test_a_pushed_workitem_shares_the_study_that_it_names(
    robot: tuple[Vault, Box], printer: ListeningPrinter, tmp_path: Path
) -> None:
    _, box = robot
    files, uid = ct_series(tmp_path / "study", 2, PERSON), generate_uid()
    dcmsend(box.port, files)
    item, inputs = Dataset(), Dataset()
    item.ProcedureStepState, item.ProcedureStepLabel = "SCHEDULED", "Share with the patient"
    inputs.StudyInstanceUID, inputs.ReferencedSOPSequence = study_uid(files), listed(files)
    item.InputInformationSequence = [inputs]
    with calling(box, UnifiedProcedureStepPush) as association:
        assert association.send_n_create(item, UnifiedProcedureStepPush, uid)[0].Status == 0
        assert printer.job().link

        def state() -> bool:
            _, progress = association.send_n_get([], UnifiedProcedureStepPush, uid)
            return bool(progress.ProcedureStepState == "COMPLETED")

        assert eventually(state, 30, "the workitem completed")


class Ris:
    """Listens for reports on workitems."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Dataset]] = []
        ae = AE(ae_title="RIS")
        ae.add_supported_context(UnifiedProcedureStepEvent, scu_role=False, scp_role=True)
        handlers = [(evt.EVT_N_EVENT_REPORT, self._hear)]
        self._server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)

    def _hear(self, event: Any) -> tuple[int, None]:
        self.heard.append((event.request.EventTypeID, event.event_information))
        return 0, None

    @property
    def settings(self) -> str:
        return f'[[dicom.peer]]\nae_title = "RIS"\naddress = "127.0.0.1"\nport = {self._server.server_address[1]}\n'

    @property
    def states(self) -> list[str]:
        return [str(said.ProcedureStepState) for kind, said in self.heard if kind == 1]

    @property
    def progress(self) -> list[tuple[int, str]]:
        items = [said.ProcedureStepProgressInformationSequence[0] for kind, said in self.heard if kind == 3]
        return [(int(one.ProcedureStepProgress), str(one.ProcedureStepProgressDescription)) for one in items]

    @property
    def cancellations(self) -> list[Dataset]:
        return [said for kind, said in self.heard if kind == 2]

    def stop(self) -> None:
        self._server.shutdown()


@pytest.fixture
def ris() -> Iterator[Ris]:
    one = Ris()
    yield one
    one.stop()


def test_a_subscriber_hears_states_progress_and_that_somebody_wants_it_cancelled(
    printer: ListeningPrinter, ris: Ris, tmp_path: Path
) -> None:
    with loop(tmp_path, printer.device, profile=ROBOT, extra=ris.settings) as (_, box):
        files, uid = ct_series(tmp_path / "study", 3, PERSON), generate_uid()
        all_of_them, item, inputs, why = Dataset(), Dataset(), Dataset(), Dataset()
        all_of_them.ReceivingAE, all_of_them.DeletionLock = "RIS", "FALSE"
        item.ProcedureStepState, item.InputInformationSequence = "SCHEDULED", [inputs]
        inputs.StudyInstanceUID, inputs.ReferencedSOPSequence = study_uid(files), listed(files)
        why.ReasonForCancellation, why.ContactDisplayName = "not this one", "Ward 3"
        push, watch = UnifiedProcedureStepPush, UnifiedProcedureStepWatch
        with calling(box, watch) as association:
            subscribed, _ = association.send_n_action(
                all_of_them, 3, push, UPSGlobalSubscriptionInstance, meta_uid=watch
            )
            assert subscribed.Status == 0
        with calling(box, push) as association:
            assert association.send_n_create(item, push, uid)[0].Status == 0
            eventually(lambda: bool(ris.progress), 20, "the first progress report")
            dcmsend(box.port, files)
            assert printer.job().link
            eventually(lambda: "COMPLETED" in ris.states, 30, "the workitem completed")
            assert association.send_n_action(why, 2, push, uid)[0].Status == 0xC311
            eventually(lambda: bool(ris.cancellations), 20, "that somebody asked to cancel it")
    assert ris.states == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]
    assert ris.progress[0] == (0, "0 of 3 images are here")
    assert ris.progress[-1] == (100, "the slip is out and its images are at the vault")
    (asked,) = ris.cancellations
    assert (asked.RequestingAE, asked.ReasonForCancellation, asked.ContactDisplayName) == (
        "PACS",
        "not this one",
        "Ward 3",
    )


def study_uid(files: Sequence[Path]) -> str:
    import pydicom

    return str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)


def story(box: Box) -> str:
    return box.command("shares", "show", shares(box)[0]["id"]).stdout
