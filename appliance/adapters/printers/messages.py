"""What the daemon and the printer's worker say to each other: a call, "may I send?" and "go", news, an answer.

Each is one line of JSON; the slip's bytes follow a call to print. Of a patient nothing else crosses but a hash. Both
sides check what they read: the worker is what a hostile printer would reach first, and the daemon must not believe it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from appliance.adapters.printers.conversation import Timing
from appliance.errors import FormatError
from appliance.formats.printer_profiles import Confirmation, Profile
from appliance.ports import Paper, PrinterStatus, PrintJob, PrintOutcome

LINE_BYTES = 16_384
JOB_BYTES = 8 << 20  # a slip is 80 kB; nine copies of a long one are still far below
PARTS = 3  # of a slip: itself, what cuts it off, what spoils it
DETAIL_CHARACTERS = 500


class Word(Enum):
    MAY_SEND = b'{"may":"send"}\n'  # the worker, before the first byte of a slip
    GO = b'{"go":true}\n'  # the daemon; without it not one byte may leave


@dataclass(frozen=True)
class Call:
    device: str
    profile: Profile
    timing: Timing
    deadline_s: float
    job: PrintJob | None = None  # None: how is the printer?
    imager: str = ""  # that reads slips back; "" is none


@dataclass(frozen=True)
class News:
    """How the printer is while a slip is under way."""

    status: PrinterStatus


Answer = PrinterStatus | PrintOutcome | News | Word


def encode_call(call: Call) -> bytes:
    header: dict[str, Any] = {
        "device": call.device,
        "profile": asdict(call.profile),
        "timing": asdict(call.timing),
        "deadline_s": call.deadline_s,
        "imager": call.imager,
    }
    if call.job is None:
        return _line(header)
    job = {
        "number": call.job.number,
        "process_id": call.job.process_id.hex(),
        "after_doubt": call.job.after_doubt,
        "code_sha256": call.job.code_sha256.hex(),
        "bytes": [len(call.job.data), len(call.job.ending), len(call.job.void)],
    }
    return _line({**header, "job": job}) + call.job.data + call.job.ending + call.job.void


async def read_call(reader: asyncio.StreamReader) -> Call | None:
    """None when the daemon has hung up. Raises FormatError."""
    line = await _read_line(reader)
    if not line:
        return None
    try:
        header = json.loads(line)
        profile = {**header["profile"], "confirmation": Confirmation(header["profile"]["confirmation"])}
        job = await _read_job(reader, header["job"]) if "job" in header else None
        deadline_s, imager = float(header["deadline_s"]), str(header["imager"])
        return Call(header["device"], Profile(**profile), Timing(**header["timing"]), deadline_s, job, imager)
    except (ValueError, TypeError, KeyError, asyncio.IncompleteReadError) as error:
        raise FormatError("not a call to the printer's worker") from error


async def _read_job(reader: asyncio.StreamReader, job: dict[str, Any]) -> PrintJob:
    lengths = job["bytes"]
    if len(lengths) != PARTS or min(lengths) < 0 or not 0 < lengths[0] <= sum(lengths) <= JOB_BYTES:
        raise ValueError("a slip of an impossible length")
    data, ending, void = [await reader.readexactly(length) for length in lengths]
    process_id, code = bytes.fromhex(job["process_id"]), bytes.fromhex(job["code_sha256"])
    return PrintJob(job["number"], data, b"", process_id, job["after_doubt"], ending, void, code)


def encode_answer(answer: PrinterStatus | PrintOutcome | News) -> bytes:
    match answer:
        case PrintOutcome():
            return _line({"outcome": answer.value})
        case News():
            return _line({"news": asdict(answer.status)})
        case PrinterStatus():
            return _line({"status": asdict(answer)})


async def read_answer(reader: asyncio.StreamReader) -> Answer | None:
    """None when the worker is gone. Raises FormatError for anything that it has no business to say."""
    line = await _read_line(reader)
    if line in (b"", Word.MAY_SEND.value):
        return Word.MAY_SEND if line else None
    try:
        answer = json.loads(line)
        if "outcome" in answer:
            return PrintOutcome(answer["outcome"])
        return News(_status(answer["news"])) if "news" in answer else _status(answer["status"])
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError("not an answer of the printer's worker") from error


def _status(facts: dict[str, Any]) -> PrinterStatus:
    status = PrinterStatus(**{**facts, "paper": Paper(facts["paper"])})
    detail = "".join(character for character in str(status.detail) if character.isprintable())
    flags = status.reachable, status.cover_open, status.error
    if not (isinstance(status.reachable, bool) and isinstance(status.feed_button, bool)) or any(
        flag not in (True, False, None) for flag in flags
    ):
        raise ValueError("flags are true, false or null")
    return replace(status, detail=detail[:DETAIL_CHARACTERS])


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """b"" when the other side is gone, in the middle of a line too."""
    try:
        return await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    except asyncio.LimitOverrunError as error:
        raise FormatError("a line without an end") from error


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
