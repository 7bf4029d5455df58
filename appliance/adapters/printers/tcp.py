"""A network printer: raw bytes on a TCP port, usually 9100."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from appliance.errors import PrinterUnreachableError

READ_BYTES = 4096
SEND_BUFFER_BYTES = 8192  # the kernel's; a large one would take a whole slip for a printer that is jammed
CLOSE_S = 2.0  # for what was written to leave; a printer that does not take it by then is dead


class TcpTransport:
    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    async def open(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
            self._keep_little_in_flight(self._writer)
        except (OSError, TimeoutError, UnicodeError) as error:  # UnicodeError: a name that DNS cannot hold
            raise self._unreachable("does not accept a connection", error) from error

    def _keep_little_in_flight(self, writer: asyncio.StreamWriter) -> None:
        """So that a write that has returned is nearly as good as bytes at the printer."""
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        writer.transport.set_write_buffer_limits(high=0)  # drain() then waits for the kernel to take everything

    async def write(self, data: bytes, within_s: float) -> None:
        if self._writer is None:
            raise self._unreachable("is not connected")
        try:
            async with asyncio.timeout(within_s):
                self._writer.write(data)
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            self._writer.transport.abort()  # closing would wait for the rest to leave
            raise self._unreachable("stopped taking bytes", error) from error

    async def read(self, within_s: float) -> bytes:
        try:
            async with asyncio.timeout(within_s):
                received = await self._reader.read(READ_BYTES)
        except TimeoutError:
            return b""
        except OSError as error:
            raise self._unreachable("broke the connection", error) from error
        if not received:
            raise self._unreachable("closed the connection")
        return received

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await writer.wait_closed()
        writer.transport.abort()

    def _unreachable(self, what: str, error: BaseException | None = None) -> PrinterUnreachableError:
        cause = f" ({error})" if error and str(error) else ""
        return PrinterUnreachableError(f"the printer at {self._host}:{self._port} {what}{cause}")
