"""A storage SCU that costs next to nothing, so that a benchmark measures the receiver: python -m tests.bench.sender.

One C-STORE at a time per association, each answered with 0000 before the next goes out. Everything that can be built
beforehand is: files are mapped, PDU headers made, and one sendmsg takes an instance to the kernel without a copy.
"""

from __future__ import annotations

import argparse
import json
import mmap
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.loads import NAMES, Instance, Load, load
from tests.bench.wire import (
    Pieces,
    ReceiverError,
    associate_request,
    fragments,
    parse_accept,
    receive_pdu,
    send_all,
    status_of,
    store_request,
)

PDU_BYTES_MAX = 1 << 20  # what to send to an acceptor that sets no limit
TIMEOUT_S = 120


@dataclass
class Association:
    """One open association, over a blocking socket."""

    wire: socket.socket
    contexts: dict[tuple[str, str], int]
    pdu_bytes: int

    @classmethod
    def open(cls, wire: socket.socket, called: str, calling: str, instances: Sequence[Instance]) -> Association:
        offered = sorted({(each.sop_class, each.transfer_syntax) for each in instances})
        wire.sendall(associate_request(called, calling, offered))
        kind, body = receive_pdu(wire)
        if kind != 2:
            raise ReceiverError(f"the association was answered with a PDU of type {kind}")
        accepted, pdu_bytes = parse_accept(body)
        contexts = {pair: 2 * index + 1 for index, pair in enumerate(offered)}
        if not accepted.issuperset(contexts.values()):
            raise ReceiverError("a presentation context was refused")
        return cls(wire, contexts, min(pdu_bytes or PDU_BYTES_MAX, PDU_BYTES_MAX))

    def build(self, instance: Instance, message_id: int, dataset: memoryview) -> Pieces:
        context = self.contexts[instance.sop_class, instance.transfer_syntax]
        command = fragments(store_request(instance, message_id), context, 1, self.pdu_bytes)
        return command + fragments(dataset, context, 0, self.pdu_bytes)

    def store(self, pieces: Pieces) -> int:
        """Sends one instance; the status of its response."""
        send_all(self.wire, pieces)
        return status_of(self._receive_command())

    def _receive_command(self) -> bytes:
        command = b""
        while True:
            kind, body = receive_pdu(self.wire)
            if kind != 4:
                raise ReceiverError(f"a PDU of type {kind} came instead of a response")
            at = 0
            while at < len(body):
                length, _, control = struct.unpack_from(">IBB", body, at)
                command += body[at + 6 : at + 4 + length]
                at += 4 + length
                if control & 2:
                    return command

    def release(self) -> None:
        self.wire.sendall(struct.pack(">BxI4x", 5, 4))
        receive_pdu(self.wire)
        self.wire.close()


def connect(host: str, port: int, wait_s: float) -> socket.socket:
    """Tries until the receiver listens. The limits are the kernel's: Python's would cost a poll for each call."""
    until = time.monotonic() + wait_s
    limit = struct.pack("ll", TIMEOUT_S, 0)
    while True:
        try:
            wire = socket.create_connection((host, port))
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
            continue
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        return wire


def map_dataset(instance: Instance) -> memoryview:
    with Path(instance.path).open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))[instance.dataset_at :]


class Lane(threading.Thread):
    """One association and its part of the load. Statuses other than 0000 are counted, not raised."""

    def __init__(self, association: Association, instances: Sequence[Instance], start: threading.Barrier) -> None:
        super().__init__()
        self.association = association
        self.prepared = [
            association.build(each, number % 65535 + 1, map_dataset(each)) for number, each in enumerate(instances)
        ]
        self.start_line = start
        self.acknowledged = 0
        self.problem = ""

    def run(self) -> None:
        self.start_line.wait(TIMEOUT_S)
        try:
            for pieces in self.prepared:
                self.acknowledged += self.association.store(pieces) == 0
        except (OSError, ReceiverError) as error:
            self.problem = str(error)


def send(what: Load, host: str, port: int, called: str, associations: int = 1, wait_s: float = 20) -> dict[str, object]:
    """Sends the load once; seconds run from the first request to the last response."""
    start = threading.Barrier(associations + 1)
    lanes = []
    for index in range(associations):
        part = what.instances[index::associations]
        association = Association.open(connect(host, port, wait_s), called, f"SENDER{index}", part)
        lanes.append(Lane(association, part, start))
    for lane in lanes:
        lane.start()
    start.wait(TIMEOUT_S)
    started = time.perf_counter()
    for lane in lanes:
        lane.join()
    seconds = time.perf_counter() - started
    problems = [lane.problem for lane in lanes if lane.problem]
    if not problems:
        for lane in lanes:
            lane.association.release()
    return {
        "load": what.name,
        "seconds": seconds,
        "instances": len(what.instances),
        "acknowledged": sum(lane.acknowledged for lane in lanes),
        "bytes": what.dataset_bytes,
        "pdu_bytes": lanes[0].association.pdu_bytes,
        "problems": problems,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("load", choices=NAMES)
    parser.add_argument("port", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--called", default="ANY-SCP")
    parser.add_argument("--first", type=int, default=None, help="only so many instances")
    parser.add_argument("--associations", type=int, default=1)
    parser.add_argument("--wait", type=float, default=20, help="seconds until the receiver must listen")
    asked = parser.parse_args()
    result = send(
        load(asked.load).first(asked.first), asked.host, asked.port, asked.called, asked.associations, asked.wait
    )
    print(json.dumps(result))
    return 0 if result["acknowledged"] == result["instances"] else 1


if __name__ == "__main__":
    sys.exit(main())
