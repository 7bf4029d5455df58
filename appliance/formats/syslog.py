"""Syslog messages as audit repositories take them: RFC 5424, framed for TLS by RFC 5425, as PS3.15 A.6 says."""

from __future__ import annotations

from datetime import UTC, datetime

PRIORITY = 10 * 8 + 5  # security/authorization, notice
BOM = b"\xef\xbb\xbf"  # RFC 5424 6.4: what follows is UTF-8


def frame(number: int, at: float, host: str, message: bytes) -> bytes:
    """`number` becomes the sequenceId (RFC 5424 7.3.1): what a repository gets twice, it can tell by that."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    name = "".join(char for char in host if "!" <= char <= "~")[:255] or "-"
    sequence = (number - 1) % 0x7FFFFFFF + 1
    head = f'<{PRIORITY}>1 {moment} {name} slipway - DICOM+RFC3881 [meta sequenceId="{sequence}"] '
    body = head.encode("ascii") + BOM + message
    return b"%d %s" % (len(body), body)
