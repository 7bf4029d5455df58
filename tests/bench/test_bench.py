"""The benchmark's own parts: what it sends arrives, what fails is counted, and its ratios are right."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import MRImageStorage

from tests.bench import peers, report
from tests.bench.loads import Instance, Load
from tests.bench.report import FREE, Run
from tests.bench.sender import send
from tests.synthetic import LITTLE, MR_SMALL, encode, header, part10


class Receiver:
    """pynetdicom, independent of the sender under test; refuses every instance whose number is in `refused`."""

    def __init__(self) -> None:
        self.datasets: dict[str, bytes] = {}
        self.refused: set[str] = set()
        self._lock = threading.Lock()
        entity = AE("RECEIVER")
        entity.maximum_pdu_size = 4096
        entity.add_supported_context(MRImageStorage, LITTLE)
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self.store)])
        self.port = self.server.server_address[1]

    def store(self, event: evt.Event) -> int:
        with self._lock:
            self.datasets[event.request.AffectedSOPInstanceUID] = event.request.DataSet.getvalue()
        return 0xA700 if event.request.AffectedSOPInstanceUID in self.refused else 0x0000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.server.shutdown()


@pytest.fixture
def tiny(tmp_path: Path) -> Load:
    instances = []
    for number in range(1, 8):
        dataset = header(MR_SMALL, 1, 1, number)
        encoded = encode(dataset)
        path = tmp_path / f"{number}.dcm"
        content = part10(dataset.SOPClassUID, dataset.SOPInstanceUID, LITTLE, encoded + bytes(9000 * (number % 3)))
        path.write_bytes(content)
        at = content.index(encoded)
        instances.append(
            Instance(str(path), dataset.SOPClassUID, dataset.SOPInstanceUID, LITTLE, at, len(content) - at)
        )
    return Load("tiny", tmp_path, tuple(instances))


@pytest.mark.parametrize("associations", [1, 3])
def test_the_sender_delivers_every_dataset_as_it_is(receiver: Receiver, tiny: Load, associations: int) -> None:
    result = send(tiny, "127.0.0.1", receiver.port, "RECEIVER", associations)
    assert (result["acknowledged"], result["problems"]) == (7, [])
    for instance in tiny.instances:
        assert receiver.datasets[instance.sop_instance] == Path(instance.path).read_bytes()[instance.dataset_at :]


def test_the_sender_counts_what_was_not_acknowledged(receiver: Receiver, tiny: Load) -> None:
    receiver.refused = {tiny.instances[2].sop_instance}
    result = send(tiny, "127.0.0.1", receiver.port, "RECEIVER")
    assert (result["instances"], result["acknowledged"]) == (7, 6)


def a_run(receiver: str, number: int, seconds: float, problem: str = "") -> Run:
    return Run(receiver, FREE, "ct", number, seconds, 100_000_000, seconds / 2, 50, problem)


def test_ratios_are_taken_within_a_round() -> None:
    runs = [a_run("slipway", n, s) for n, s in enumerate((1, 2, 4))]
    runs += [a_run("storescp", n, s) for n, s in enumerate((2, 3, 16))]
    assert report.ratios(runs, {"storescp": 1.5})[1] == ["storescp", "2.00 (1.50–4.00)", "≥ 1.5", "yes"]
    assert report.ratios(runs, {"storescp": 2.5})[1][-1] == "no"


def test_incomplete_runs_count_for_nothing_but_are_shown() -> None:
    runs = [a_run("slipway", 0, 1, "2 instances were not acknowledged"), a_run("storescp", 0, 2)]
    assert len(report.ratios(runs, {})) == 1
    assert report.speeds(runs)[1] == ["slipway", "2 instances were not acknowledged", "", "", "", "0 of 1"]
    assert "2 instances were not acknowledged" in report.markdown(runs, {})


def test_the_report_shows_the_goals_that_are_not_about_speed() -> None:
    runs = [a_run("slipway", 0, 1), a_run("Orthanc", 0, 4)]
    assert report.frugality(runs)[1:] == [
        ["peak memory, MB", "50", "< 128", "yes"],
        ["CPU of Orthanc's", "0.250", "≤ 0.125", "no"],
    ]


def test_a_receiver_that_does_not_start_says_its_last_words() -> None:
    peer = peers.Peer("broken", "X", "sh", lambda _folder, _port: ["sh", "-c", "echo no such option; exit 3"])
    with pytest.raises(peers.NotStartedError, match="no such option"), peers.Running(peer, {}):
        pass


def test_a_receiver_is_ended_with_all_that_it_started() -> None:
    command = ["python3", "-c", "import socket,subprocess,sys,time; subprocess.Popen(['sleep', '60']);"]
    command[-1] += " s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"
    peer = peers.Peer("forking", "X", "python3", lambda _folder, port: [*command, str(port)])
    with peers.Running(peer, {}) as running:
        children = peers.descendants(running.process.pid)
        assert len(children) == 1
        assert running.cost().cpu_s > 0
        child = os.pidfd_open(children[0])
    assert not running.folder.exists()
    ended, _, _ = select.select([child], [], [], 10)
    os.close(child)
    assert ended
