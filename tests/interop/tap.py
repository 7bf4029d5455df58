"""A wire-tap between a sender and the box: what really crossed the wire, whoever sent it.

Senders write datasets anew (lengths of sequences, group lengths, VRs), so that the file is no measure of what the box
kept. Read here by hand from PS3.8 and PS3.7: what tests believe must not come from the code under test.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.interop.inbox import Instance

CHUNK = 1 << 16
WITHIN_S = 60


@dataclass
class Recorded:
    """One association, both ways."""

    request: bytearray = field(default_factory=bytearray)
    answer: bytearray = field(default_factory=bytearray)

    def instances(self) -> list[Instance]:
        """Every C-STORE that was sent whole."""
        syntaxes = accepted_syntaxes(self.answer)
        found, command, dataset = [], b"", hashlib.sha256()
        for context, control, value in values(self.request):
            if control & 1:
                command += value
                if control & 2:
                    fields, command = elements(command), b""
                    dataset = hashlib.sha256()
            else:
                dataset.update(value)
                if control & 2 and fields[0x0100] == b"\x01\x00":
                    sop_class, sop_instance = (uid(fields[number]) for number in (0x0002, 0x1000))
                    found.append(Instance(sop_class, sop_instance, syntaxes[context], dataset.hexdigest()))
        return found

    def longest_pdu(self, *, from_box: bool = False) -> int:
        return max(len(body) for kind, body in pdus(self.answer if from_box else self.request) if kind == 4)

    def acknowledged(self) -> int:
        """C-STORE responses with status 0000."""
        commands = [elements(value) for _, control, value in values(self.answer) if control & 1]
        return sum(one[0x0100] == b"\x01\x80" and one[0x0900] == b"\0\0" for one in commands)

    @property
    def aborted(self) -> bool:
        return any(kind == 7 for kind, _ in pdus(self.answer))


def pdus(data: bytearray) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 6 <= len(data):
        kind, length = struct.unpack_from(">BxI", data, at)
        yield kind, bytes(data[at + 6 : at + 6 + length])
        at += 6 + length


def values(data: bytearray) -> Iterator[tuple[int, int, bytes]]:
    """(context, message control header, value) of each presentation data value."""
    for kind, body in pdus(data):
        at = 0
        while kind == 4 and at < len(body):
            length, context, control = struct.unpack_from(">IBB", body, at)
            yield context, control, body[at + 6 : at + 4 + length]
            at += 4 + length


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from(">BxH", data, at)
        yield kind, data[at + 4 : at + 4 + length]
        at += 4 + length


def uid(value: bytes) -> str:
    return value.decode().rstrip("\0 ")


def accepted_syntaxes(answer: bytearray) -> dict[int, str]:
    """By context id, from an A-ASSOCIATE-AC."""
    bodies = [body for kind, body in pdus(answer) if kind == 2]
    contexts = [value for kind, value in items(bodies[0][68:]) if kind == 0x21] if bodies else []
    return {value[0]: uid(dict(items(value[4:]))[0x40]) for value in contexts if value[2] == 0}


def elements(command: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at < len(command):
        _, number, length = struct.unpack_from("<HHI", command, at)
        found[number] = command[at + 8 : at + 8 + length]
        at += 8 + length
    return found


class Tap:
    """Listens on a port of its own and passes everything on to the box's."""

    def __init__(self, box_port: int) -> None:
        self._box_port = box_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.recorded: list[Recorded] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed: the end
            while True:
                sender, _ = self._listener.accept()
                record = Recorded()
                self.recorded.append(record)
                self._threads.append(threading.Thread(target=self._carry, args=(sender, record)))
                self._threads[-1].start()

    def _carry(self, sender: socket.socket, record: Recorded) -> None:
        with sender, socket.create_connection(("127.0.0.1", self._box_port), WITHIN_S) as box:
            sender.settimeout(WITHIN_S)
            back = threading.Thread(target=_pump, args=(box, sender, record.answer))
            back.start()
            _pump(sender, box, record.request)
            back.join(WITHIN_S)

    def sent(self) -> list[Instance]:
        """After `close`: of all associations, sorted."""
        return sorted(instance for record in self.recorded for instance in record.instances())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(WITHIN_S)

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _pump(source: socket.socket, sink: socket.socket, log: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            log += data
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
