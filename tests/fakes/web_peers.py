"""Senders over HTTP, byte by byte, so that a test can stop, break off or lie anywhere.

Nothing is shared with the box: both ends of a wire from one hand would agree on each other's mistakes.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from tests.synthetic import LITTLE, part10

WITHIN_S = 20.0
CT = "1.2.840.10008.5.1.4.1.1.2"
TOKEN = "t0ken-of-the-RIS_abcdefghijklmnopqrstuvwxyz"
BOUNDARY = "slipway=test_boundary"
MULTIPART = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'
STUDIES = "/dicom-web/SHARE/studies"


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return group.to_bytes(2, "little") + number.to_bytes(2, "little") + vr + len(value).to_bytes(2, "little") + value


def dataset(uid: str = "1.2.3", study: str = "1.9", before: bytes = b"", after: bytes = b"") -> bytes:
    """Explicit little endian, of nobody; `before` stands before its Study Instance UID."""
    head = element(8, 0x16, b"UI", CT.encode()) + element(8, 0x18, b"UI", uid.encode())
    return head + before + element(0x20, 0xD, b"UI", study.encode()) + after


def file(uid: str = "1.2.3", data: bytes | None = None, sop: str = CT, syntax: str = LITTLE) -> bytes:
    return part10(sop, uid, syntax, dataset(uid) if data is None else data)


def multipart(*files: bytes, last: str = "--\r\n") -> bytes:
    delimiter = f"\r\n--{BOUNDARY}"
    headers = "\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join((delimiter + headers).encode() + file for file in files)[2:] + (delimiter + last).encode()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    def uids(self, tag: str) -> list[str]:
        """Of 00081199, what is stored, or 00081198, what failed; sorted, as the disk may have a later one first."""
        found = [item["00081155"]["Value"][0] for item in self.json.get(tag, {"Value": []})["Value"]]
        return sorted(found, key=lambda uid: (len(uid), uid))

    @property
    def reasons(self) -> list[int]:
        items = [item for tag in ("00081198", "0008119A") for item in self.json.get(tag, {"Value": []})["Value"]]
        return [item["00081197"]["Value"][0] for item in items]


class WebPeer:
    """One connection. `async with await WebPeer.call(port) as peer`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.within_s = WITHIN_S

    @classmethod
    async def call(cls, port: int, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0), ssl=tls))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(self.within_s):
            self.writer.write(data)
            await self.writer.drain()

    async def head(self, path: str = STUDIES, method: str = "POST", **headers: str) -> None:
        """The request's head. Names of headers as arguments, with _ for -; "" leaves one out."""
        said = {"Host": "box", "Authorization": f"Bearer {TOKEN}", "Content-Type": MULTIPART}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}\r\n" for name, value in said.items() if value]
        await self.send(f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode())

    async def post(self, body: bytes, path: str = STUDIES, method: str = "POST", **headers: str) -> Answer:
        await self.head(path, method, **{"Content_Length": str(len(body)), **headers})
        await self.send(body)
        return await self.answer()

    async def post_chunked(self, pieces: Iterable[bytes], path: str = STUDIES, **headers: str) -> Answer:
        await self.head(path, Transfer_Encoding="chunked", **headers)
        for piece in pieces:
            await self.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await self.send(b"0\r\n\r\n")
        return await self.answer()

    async def answer(self) -> Answer:
        async with asyncio.timeout(self.within_s):
            status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            pairs = (line.split(": ", 1) for line in lines if line)
            headers = {name.lower(): value for name, value in pairs}
            return Answer(int(status.split(" ")[1]), headers, await self._body(headers))

    async def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(headers.get("content-length", "0")))
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body

    async def hung_up(self) -> None:
        """Until the box closes the connection."""
        async with asyncio.timeout(self.within_s):
            try:
                await self.reader.read()
            except ConnectionError:
                return
