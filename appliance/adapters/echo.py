"""C-ECHO to another DICOM application: does it answer under its title? (PS3.7 section 9.1.5)

One association, one request, plain TCP; enough to tell a wrong address from a wrong title. No message is sent twice.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

from appliance.dicom import dimse, pdu
from appliance.dicom.pdu import PduType
from appliance.dicom.upper_layer import pdata

WITHIN_S = 4.0
LONGEST_PDU_BYTES = 1 << 17
VERIFICATION, IMPLICIT_LITTLE = "1.2.840.10008.1.1", "1.2.840.10008.1.2"
CONTEXT_ID = 1
REJECTED_FOR = {  # PS3.8 table 9-21, by source and reason
    (1, 3): "it does not know the box's AE title {calling}",
    (1, 7): "{called} is not its AE title",
}
RELEASE_RQ = struct.pack(">BxI4x", PduType.RELEASE_RQ, 4)


async def echo(host: str, port: int, called: str, calling: str, within_s: float = WITHIN_S) -> str:
    """ "" when it answered, else what is in the way, in a few words."""
    if "/" in host:
        return "its address in the settings is a network"
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return await _converse(reader, writer, called, calling)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return "no answer"
    except (OSError, asyncio.IncompleteReadError):
        return "nobody takes the connection"


async def echo_all(peers: Sequence[tuple[str, int, str]], calling: str) -> tuple[tuple[str, str], ...]:
    """Host, port and AE title of each, all at once: AE title, and what is in the way."""
    answers = await asyncio.gather(*[echo(host, port, title, calling) for host, port, title in peers])
    return tuple((title, wrong) for (_, _, title), wrong in zip(peers, answers, strict=True))


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, called: str, calling: str) -> str:
    writer.write(pdu.encode_associate_rq(calling, called, CONTEXT_ID, VERIFICATION, IMPLICIT_LITTLE))
    kind, body = await _read_pdu(reader)
    if kind == PduType.ASSOCIATE_RJ and len(body) >= 4:
        said = REJECTED_FOR.get((body[2], body[3]), "it refused the association")
        return said.format(calling=calling, called=called)
    if kind != PduType.ASSOCIATE_AC:
        return "what answers there speaks no DICOM"
    writer.write(pdata(CONTEXT_ID, dimse.echo_request(1)))
    kind, body = await _read_pdu(reader)
    writer.write(RELEASE_RQ)
    # After the PDV's header of six bytes; a command set that holds Status (0000,0900) 0000.
    answered = kind == PduType.P_DATA and struct.pack("<HHIH", 0, 0x0900, 2, 0) in body[6:]
    return "" if answered else "it took the association, but not the echo"


async def _read_pdu(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind, length = struct.unpack(">BxI", await reader.readexactly(6))
    if length > LONGEST_PDU_BYTES:
        return 0, b""
    return kind, await reader.readexactly(length)
