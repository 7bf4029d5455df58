"""STOW-RS by senders from other hands: curl, dicomweb-client, Orthanc. Each image is kept bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from pydicom.filewriter import dcmwrite

from tests.interop.inbox import Inbox, Instance
from tests.interop.orthanc import Orthanc
from tests.samples import Sample, dataset_bytes, distinct_samples, meta, sample
from tests.system.dicomweb import Sender, make_token, sender_to, settings
from tests.system.harness import Box

KINDS = ("ct_implicit", "mg_explicit", "ct_deflated", "ct_rle", "ct_jpeg_ls", "es_h264", "private_sop_class")
FILES = [sample(f"generated/{name}") for name in KINDS]
CURL, CURL_CHUNKED, CURL_FILE, CURL_ALL, CLIENT, CLIENT_CHUNKED, ORTHANC, ORTHANC_CHUNKED = CALLING = (
    *("CURL", "CURL-CHUNKED", "CURL-FILE", "CURL-ALL"),
    *("CLIENT", "CLIENT-CHUNKED"),
    *("ORTHANC", "ORTHANC-CHUNKED"),
)
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
Senders = Callable[[str], Sender]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """Without a vault, all that it receives stays in its spool."""
    profile = 'ae_title = "SHARE"\nsecond_factor = "none"'
    return Box(tmp_path_factory.mktemp("dicomweb"), "none", profile=profile, extra=settings(*CALLING))


@pytest.fixture(scope="module")
def senders(box: Box) -> Iterator[Senders]:
    tokens = {name: make_token(box, name) for name in CALLING}
    box.start()
    yield lambda name: sender_to(box, tokens[name])
    box.stop()


@pytest.fixture(scope="module")
def inbox(box: Box, senders: Senders) -> Inbox:
    return Inbox.of(box)


def as_is(files: list[Sample]) -> list[Instance]:
    """Each with its dataset as it stands in the file."""
    return sorted(_instance(one, dataset_bytes(one.path)) for one in files)


def _instance(one: Sample, dataset: bytes) -> Instance:
    known = meta(one.path)
    return Instance(known.sop_class, known.sop_instance, known.transfer_syntax, sha256(dataset).hexdigest())


# -- curl --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calling", "options"), [(CURL, ()), (CURL_CHUNKED, ("-H", "Transfer-Encoding: chunked", "-H", "Expect:"))]
)
def test_curl_sends_files_as_they_are(senders: Senders, inbox: Inbox, calling: str, options: tuple[str, ...]) -> None:
    status, answer = senders(calling).curl([one.path for one in FILES], *options)
    assert status == 200
    assert len(answer["00081199"]["Value"]) == len(FILES)
    assert inbox(calling) == as_is(FILES)


def test_every_real_file_goes_through_as_it_is(senders: Senders, inbox: Inbox) -> None:
    files = [one for one in distinct_samples() if one.path.read_bytes()[128:132] == b"DICM"]
    assert len(files) > 150
    status, _ = senders(CURL_ALL).curl([one.path for one in files])
    assert status == 200
    assert inbox(CURL_ALL) == as_is(files)


def test_one_file_needs_no_multipart(senders: Senders, inbox: Inbox) -> None:
    sender, one = senders(CURL_FILE), FILES[1]
    with one.path.open("rb") as file:
        answer = requests.post(f"{sender.url}/studies", file, headers=_headers(sender), timeout=60)
    assert answer.status_code == 200
    assert inbox(CURL_FILE) == as_is([one])


def _headers(sender: Sender) -> dict[str, str]:
    return {"Authorization": f"Bearer {sender.token}", "Content-Type": "application/dicom"}


# -- dicomweb-client ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("calling", "chunk"), [(CLIENT, 1 << 30), (CLIENT_CHUNKED, 20_000)])
def test_dicomweb_client_stores_whole_and_in_chunks(
    senders: Senders, inbox: Inbox, tmp_path: Path, calling: str, chunk: int
) -> None:
    sender, files = senders(calling), [one for one in FILES if "deflated" not in one.name]
    session = create_session()
    session.headers["Authorization"] = f"Bearer {sender.token}"
    client = DICOMwebClient(sender.url, session, chunk_size=chunk)
    datasets = [pydicom.dcmread(one.path) for one in files]
    answer = client.store_instances(datasets)
    assert len(answer.ReferencedSOPSequence) == len(files)
    assert "FailedSOPSequence" not in answer
    expected = []
    for one, dataset in zip(files, datasets, strict=True):
        path = tmp_path / "as-written.dcm"
        dcmwrite(path, dataset)
        expected.append(_instance(one, dataset_bytes(path)))
    assert inbox(calling) == sorted(expected)


# -- Orthanc -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, senders: Senders) -> Iterator[Orthanc]:
    def server(name: str, *, chunked: bool) -> dict[str, Any]:
        sender = senders(name)
        headers = {"Authorization": f"Bearer {sender.token}"}
        return {"Url": f"{sender.url}/", "HttpHeaders": headers, "ChunkedTransfers": chunked}

    servers = {
        ORTHANC: server(ORTHANC, chunked=False),
        ORTHANC_CHUNKED: server(ORTHANC_CHUNKED, chunked=True),
        "stranger": {"Url": f"{senders(ORTHANC).url}/"},
    }
    more = {"Plugins": [PLUGIN], "DicomWeb": {"Servers": servers}}
    orthanc = Orthanc(tmp_path_factory.mktemp("peers") / "orthanc", more)
    yield orthanc
    orthanc.stop()


@pytest.mark.parametrize("calling", [ORTHANC, ORTHANC_CHUNKED])
def test_orthanc_stores_what_it_holds(orthanc: Orthanc, senders: Senders, inbox: Inbox, calling: str) -> None:
    ids = [orthanc.ask("/instances", one.path.read_bytes())["ID"] for one in FILES]
    orthanc.ask(f"/dicom-web/servers/{calling}/stow", {"Resources": ids, "Synchronous": True})
    assert inbox(calling) == as_is(FILES)


def test_orthanc_without_the_token_is_told_no(orthanc: Orthanc, inbox: Inbox) -> None:
    one = orthanc.ask("/instances", FILES[0].path.read_bytes())["ID"]
    job = {"Resources": [one], "Synchronous": True}
    with pytest.raises(OSError, match="HTTP Error"):
        orthanc.ask("/dicom-web/servers/stranger/stow", job)
    assert inbox("stranger") == []
