"""Section 4.5 of the conformance statement: STOW-RS, from the code's own constants."""

# ruff: noqa: E501  (paragraphs of the document)
from __future__ import annotations

from collections.abc import Callable, Iterable

from appliance.adapters.dicomweb import RETRY_AFTER_S
from appliance.adapters.web_admission import PREFIX, WRONG_TOKENS
from appliance.adapters.web_door import Limits
from appliance.formats.multipart import BOUNDARY_MAX, HEADERS_BYTES_MAX
from appliance.formats.part10_reader import HEAD_BYTES_MAX
from appliance.formats.store_report import MEDIA_TYPE, Reason

REASONS = {
    Reason.PROCESSING_FAILURE: "Nothing was kept, for a reason that has no other number.",
    Reason.SOP_CLASS_NOT_SUPPORTED: "Not one of the storage SOP classes of 4.2.3, or Media Storage Directory.",
    Reason.OUT_OF_RESOURCES: "The disk is full or failed, or a quota is used up. The user agent may send again.",
    Reason.DOES_NOT_MATCH: "Of another study than the target resource, or without a Study Instance UID.",
    Reason.CANNOT_UNDERSTAND: f"No Part 10 file, or its File Meta Information ends in the middle or is longer than {HEAD_BYTES_MAX} bytes.",
    Reason.TRANSFER_SYNTAX_NOT_SUPPORTED: "A transfer syntax that 4.2.3 does not accept: the dataset refers to its pixels.",
}

Table = Callable[[Iterable[str], Iterable[Iterable[object]]], str]


def web(table: Table, limits: Limits | None = None) -> str:
    limits = limits or Limits()
    resources = [
        ("Store (PS3.18 section 10.5)", f"POST /{PREFIX}/{{AE title}}/studies", "instances of any study"),
        ("", f"POST /{PREFIX}/{{AE title}}/studies/{{Study Instance UID}}", "instances of that study"),
    ]
    headers = [
        ("Content-Type", 'multipart/related; type="application/dicom"; boundary=…, or application/dicom for one file'),
        ("Content-Length or Transfer-Encoding: chunked", "either"),
        ("Content-Encoding", "identity only"),
        ("Accept", f"{MEDIA_TYPE}; application/json, application/* and */* are answered with it too"),
        ("Authorization", "Bearer and a token; required"),
        ("Expect", "100-continue, answered when all that precedes the body is right"),
    ]
    bounds = [
        ("connections", f"{limits.connections}; an address may hold as many as it leaves free"),
        ("TLS handshake", f"{limits.handshake_s:g} s"),
        ("a request's head, and a connection that is kept for the next", f"{limits.head_s:g} s"),
        ("silence within a body", f"{limits.silence_s:g} s"),
        ("speed of a body", f"{limits.slowest_bytes_per_s:g} bytes a second at least, over {limits.silence_s:g} s"),
        ("instances of a request", f"{limits.instances}; bytes are not limited"),
        ("boundary, headers of a part", f"{BOUNDARY_MAX} characters, {HEADERS_BYTES_MAX} bytes"),
        (
            "wrong tokens",
            f"from the {WRONG_TOKENS + 1}th of an address in an hour on, answered {limits.late_s:g} s late",
        ),
        ("Retry-After of 503", f"{RETRY_AFTER_S} s"),
    ]
    reasons = [(f"{reason:04X}H", meaning) for reason, meaning in REASONS.items()]
    return f"""### 4.5 DICOMweb: Studies Service, Store transaction, as origin server
Off by default. Where it is on (`[dicomweb]`), over TLS as in section 7, without it on loopback addresses only. No other transaction, service or resource; no capabilities description.

{table(("Transaction", "Target", "Takes"), resources)}
{table(("Header", "Values"), headers)}
A representation is a PS3.10 file of a storage SOP class in a transfer syntax of 4.2.3; metadata and bulk data apart from each other are not taken (415). The dataset is kept
bit for bit. It is not coerced, and no attribute is required but (0002,0002), (0002,0003), (0002,0010) and, where the target names a study, (0020,000D). An instance is answered for when it is
on the box's disk, flushed. What was stored before a request broke off stays stored. The same instance again is success.

Answers: 200, 202, 400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 417, 503 (`docs/dicomweb.md`). The response has no Retrieve URL.

{table(("Failure Reason", "Nothing was kept of the instance"), reasons)}
{table(("Limit", "Value"), bounds)}"""
