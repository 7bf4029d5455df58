"""The box as Query/Retrieve SCU of archives from other hands: Orthanc and DCMTK's dcmqrscp."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pydicom
import pytest

from appliance.adapters.acceptor import Acceptor
from appliance.adapters.association import Limits
from appliance.adapters.pacs import Archive, DicomPacs
from appliance.adapters.spool import FileSpool
from appliance.errors import NothingFoundError, PacsRefusedError, PacsUnreachableError
from appliance.formats.sealed import Sealer
from appliance.ports import Retrieved, Wanted
from tests.fakes.peers import OpenReception
from tests.fakes.spool import read_back
from tests.interop.archives import Dcmqrscp
from tests.interop.orthanc import Orthanc
from tests.samples import dataset_bytes, sample
from tests.system.harness import free_port
from tests.system.study import ROOT, Person, as_dcmtk_writes, ct_series

PERSON = Person()
STUDY, ACCESSION = f"{ROOT}.7", "A-2026-0042"
SYNTAXES = {  # of one study, as archives come by them over the years
    "pydicom/test_files/J2K_pixelrep_mismatch.dcm": "1.2.840.10008.1.2.4.90",
    "pydicom-data/JPEG-LL.dcm": "1.2.840.10008.1.2.4.70",
    "pydicom/test_files/MR_small_RLE.dcm": "1.2.840.10008.1.2.5",
    "pydicom/test_files/MR_small_bigendian.dcm": "1.2.840.10008.1.2.2",
    "pydicom/test_files/CT_small.dcm": "1.2.840.10008.1.2.1",
    "pydicom/test_files/MR_small_implicit.dcm": "1.2.840.10008.1.2",
    "pydicom/test_files/reportsi.dcm": "1.2.840.10008.1.2.1",  # a report: no pixels
}
MODALITIES = ("CT", "MR", "NM", "SR")
PLAIN = ("1.2.840.10008.1.2.1",)


def mixed_study(folder: Path) -> list[Path]:
    """One study of several modalities, each instance in another transfer syntax."""
    folder.mkdir()
    files = []
    for number, name in enumerate(SYNTAXES, 1):
        dataset = pydicom.dcmread(sample(name).path)
        assert dataset.file_meta.TransferSyntaxUID == SYNTAXES[name]
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = PERSON.name, PERSON.patient_id, "19700131"
        dataset.StudyInstanceUID, dataset.AccessionNumber, dataset.StudyDate = STUDY, ACCESSION, "20261121"
        dataset.SeriesInstanceUID = f"{STUDY}.{MODALITIES.index(dataset.Modality)}"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.1.{number}"
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.pop("DataSetTrailingPadding", None)  # DCMTK, in Orthanc too, does not send it
        files.append(folder / f"{number}.dcm")
        dataset.save_as(files[-1])
        as_dcmtk_writes(files[-1])
    return files


@dataclass
class Peer:
    archive: Archive
    box_port: int
    files: list[Path]


@pytest.fixture(scope="module")
def orthanc_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder, port = tmp_path_factory.mktemp("orthanc"), free_port()
    orthanc = Orthanc(folder / "orthanc")
    try:
        files = mixed_study(folder / "study")
        orthanc.holds(files)
        orthanc.holds(ct_series(folder / "ct", 2, Person(patient_id="SLIP-0002")))
        orthanc.knows_box_at(port)
        yield Peer(Archive("127.0.0.1", orthanc.port, "ORTHANC"), port, files)
    finally:
        orthanc.stop()


@pytest.fixture(scope="module")
def dcmtk_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder, port = tmp_path_factory.mktemp("dcmqrscp"), free_port()
    dcmqrscp = Dcmqrscp(folder / "dcmqrscp", "SHARE", port)
    try:
        files = [
            path
            for path, syntax in zip(mixed_study(folder / "study"), SYNTAXES.values(), strict=True)
            if syntax in PLAIN
        ]
        dcmqrscp.holds(files)
        dcmqrscp.holds(ct_series(folder / "ct", 2, Person(patient_id="SLIP-0002")))
        yield Peer(Archive("127.0.0.1", dcmqrscp.port, dcmqrscp.title), port, files)
    finally:
        dcmqrscp.stop()


@pytest.fixture(params=["orthanc", "dcmtk"])
def peer(request: pytest.FixtureRequest) -> Peer:
    found: Peer = request.getfixturevalue(f"{request.param}_peer")
    return found


@dataclass
class Caller:
    """The adapter with a real spool behind it, and an acceptor for what a C-MOVE sends."""

    spool: FileSpool
    inbox: OpenReception
    told: list[Retrieved] = field(default_factory=list)

    def pacs(self, archive: Archive, retrieve: str) -> DicomPacs:
        return DicomPacs(archive, "SHARE", retrieve, self.spool, self.inbox, time.time)

    @property
    def received(self) -> dict[str, tuple[str, str]]:
        """By SOP Instance UID: transfer syntax, and SHA-256 of what came."""
        return {
            receipt.arrival.sop_instance_uid: (
                receipt.arrival.transfer_syntax,
                sha256(read_back(self.spool, receipt)).hexdigest(),
            )
            for receipt in self.inbox.receipts
        }


@asynccontextmanager
async def calling(folder: Path, port: int) -> AsyncIterator[Caller]:
    spool, inbox = FileSpool(folder / "spool", Sealer(bytes(32)), reserve_bytes=0), OpenReception()
    spool.start()
    acceptor = Acceptor(spool, inbox, time.time, Limits())
    await acceptor.listen([("127.0.0.1", port)])
    try:
        yield Caller(spool, inbox)
    finally:
        await acceptor.stop()
        spool.stop()
        acceptor.hang_up()


def held(files: list[Path]) -> dict[str, tuple[str, str]]:
    found = {}
    for path in files:
        meta = pydicom.dcmread(path, specific_tags=["SOPInstanceUID"])
        syntax = str(meta.file_meta.TransferSyntaxUID)
        found[str(meta.SOPInstanceUID)] = (syntax, sha256(dataset_bytes(path)).hexdigest())
    return found


async def test_a_study_is_found_by_accession_number_patient_or_its_own_uid(peer: Peer, tmp_path: Path) -> None:
    async with calling(tmp_path, peer.box_port) as caller:
        pacs = caller.pacs(peer.archive, "move")
        (by_number,) = await pacs.find_studies(accession_number=ACCESSION)
        (by_patient,) = await pacs.find_studies(patient_id=PERSON.patient_id)
        (by_uid,) = await pacs.find_studies(study_uid=STUDY)
    assert by_number == by_patient == by_uid
    assert (by_number.patient_name, by_number.birth_date, by_number.study_date) == (PERSON.name, "19700131", "20261121")
    assert by_number.instances in (len(peer.files), None)  # an optional key, which dcmqrscp does not have


async def test_what_is_not_there_is_not_found(peer: Peer, tmp_path: Path) -> None:
    async with calling(tmp_path, peer.box_port) as caller:
        pacs = caller.pacs(peer.archive, "move")
        assert await pacs.find_studies(accession_number="NONE") == []
        assert await pacs.find_instances("1.2.3") == []
        with pytest.raises((NothingFoundError, PacsRefusedError)):  # Orthanc says C000
            await pacs.retrieve(Wanted("1.2.3"), "SHARE", caller.told.append)


async def test_instances_are_found_in_their_study_and_wherever_they_are(peer: Peer, tmp_path: Path) -> None:
    async with calling(tmp_path, peer.box_port) as caller:
        pacs = caller.pacs(peer.archive, "move")
        assert {one.sop_instance_uid for one in await pacs.find_instances(STUDY)} == held(peer.files).keys()
        some = sorted(held(peer.files))[:2]
        for study in (STUDY, ""):
            found = await pacs.find_instances(study, some)
            assert sorted(one.sop_instance_uid for one in found) == some
            assert {one.study_uid for one in found} == {STUDY}


@pytest.mark.parametrize("retrieve", ["move", "get"])
async def test_a_study_is_retrieved_byte_for_byte_as_the_archive_holds_it(
    peer: Peer, retrieve: str, tmp_path: Path
) -> None:
    async with calling(tmp_path, peer.box_port) as caller:
        done = await caller.pacs(peer.archive, retrieve).retrieve(Wanted(STUDY), "SHARE", caller.told.append)
        assert done == Retrieved(len(peer.files), 0)
        assert caller.told[-1] == done
        assert caller.received == held(peer.files)
        assert {one.arrival.called_ae_title for one in caller.inbox.receipts} == {"SHARE"}


@pytest.mark.parametrize("retrieve", ["move", "get"])
async def test_some_instances_of_a_study_are_retrieved_without_the_others(
    peer: Peer, retrieve: str, tmp_path: Path
) -> None:
    async with calling(tmp_path, peer.box_port) as caller:
        pacs = caller.pacs(peer.archive, retrieve)
        some = (await pacs.find_instances(STUDY))[:2]
        assert (await pacs.retrieve(Wanted(STUDY, tuple(some)), "SHARE", caller.told.append)).completed == len(some)
        assert caller.received.keys() == {one.sop_instance_uid for one in some}


async def test_a_destination_that_dcmtk_does_not_know_is_said_by_name(dcmtk_peer: Peer, tmp_path: Path) -> None:
    async with calling(tmp_path, dcmtk_peer.box_port) as caller:
        with pytest.raises(PacsRefusedError) as raised:
            await caller.pacs(dcmtk_peer.archive, "move").retrieve(Wanted(STUDY), "OTHER", caller.told.append)
    assert raised.value.summary == "the PACS does not know this box's AE title OTHER (C-MOVE status A801)"
    assert "docs/pacs.md" in raised.value.hint


async def test_a_caller_that_orthanc_does_not_know_is_told_where_to_look(orthanc_peer: Peer, tmp_path: Path) -> None:
    async with calling(tmp_path, orthanc_peer.box_port) as caller:
        with pytest.raises(PacsUnreachableError) as raised:
            await caller.pacs(orthanc_peer.archive, "move").retrieve(Wanted(STUDY), "OTHER", caller.told.append)
    assert raised.value.summary == "the PACS ended the association instead of answering C-MOVE"
    assert "docs/pacs.md" in raised.value.hint
