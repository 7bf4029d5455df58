"""An audit repository over TLS syslog (RFC 5425): a batch a connection.

RFC 5425 acknowledges nothing, and what lies in a buffer when a connection breaks is lost without a word. So each batch
ends with TLS's close_notify, and counts as taken when the repository has closed in its turn: it has read all before.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence

from appliance.errors import RepositoryUnreachableError, SettingsError

CONNECT_S = 10.0
SILENT_S = 20.0  # the repository takes nothing, or does not answer our farewell
PIECE_BYTES = 16 << 10  # what has to go within that time: a weak line is no reason to give up


class SyslogRepository:
    def __init__(
        self,
        host: str,
        port: int,
        ca_file: str = "",
        certificate_file: str = "",
        key_file: str = "",
        *,
        silent_s: float = SILENT_S,
    ) -> None:
        self._silent_s = silent_s
        self._address = (host, port)
        self._context = ssl.create_default_context()
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        used = f"ca_file {ca_file}"
        try:
            if ca_file:
                self._context.load_verify_locations(ca_file)
            used = f"certificate_file {certificate_file} with its key_file"
            if certificate_file:
                self._context.load_cert_chain(certificate_file, key_file)
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(f"[audit] {used} cannot be used: {error.strerror or error}") from error

    async def deliver(self, frames: Sequence[bytes]) -> None:
        """All of them, in this order. RepositoryUnreachableError: some may have arrived, and all go again."""
        await asyncio.to_thread(self._deliver, b"".join(frames))

    def _deliver(self, data: bytes) -> None:
        where = "{}:{}".format(*self._address)
        try:
            with socket.create_connection(self._address, CONNECT_S) as plain:
                plain.settimeout(self._silent_s)
                with self._context.wrap_socket(plain, server_hostname=self._address[0]) as secured:
                    for at in range(0, len(data), PIECE_BYTES):
                        secured.sendall(data[at : at + PIECE_BYTES])
                    secured.unwrap()  # says farewell and waits for theirs (RFC 5425 section 4.4)
        except ssl.SSLCertVerificationError as error:
            raise RepositoryUnreachableError(
                f"the audit repository {where} is not who it should be: {error.verify_message}",
                hint="Name the authority that signs its certificate in [audit] ca_file.",
            ) from error
        except OSError as error:  # ssl.SSLError and the time-out are
            raise RepositoryUnreachableError(
                f"the audit repository {where} cannot be reached: {error.strerror or error}"
            ) from error
