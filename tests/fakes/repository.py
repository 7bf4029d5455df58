"""An audit repository over TLS: takes syslog frames as RFC 5425 says, and breaks off where a test wants it to."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from pathlib import Path

from tests.certificates import Authority, Pair

SEQUENCE = re.compile(rb'sequenceId="(\d+)"')


class TlsRepository:
    """Keeps every message; after `break_after` of a connection it is gone without a word, which it does so often."""

    def __init__(self, folder: Path, *, client_ca: Path | None = None) -> None:
        self.authority = Authority(folder, "hospital")
        self._pair: Pair = self.authority.issue("repository")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self._pair.certificate, self._pair.key)
        if client_ca is not None:
            self._context.load_verify_locations(client_ca)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._server: asyncio.Server | None = None
        self._socket = socket.socket()  # bound from now on: until `start` the port is taken and refuses
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.messages: list[bytes] = []
        self.connections = 0
        self.break_after = 0
        self.breaks = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._socket, ssl=self._context)

    async def stop(self) -> None:
        if self._server is None:
            self._socket.close()
        else:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for count in range(1, 1 << 30):
                length = (await reader.readuntil(b" ")).strip()
                self.messages.append(await reader.readexactly(int(length)))
                if self.breaks and count == self.break_after:
                    self.breaks -= 1
                    writer.transport.abort()
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    @property
    def numbers(self) -> list[int]:
        return [int(found[1]) for one in self.messages if (found := SEQUENCE.search(one))]
