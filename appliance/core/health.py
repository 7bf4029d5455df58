"""Facts about the box to the one sentence that a technician needs, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    OK = 0
    NOTICE = 1
    PROBLEM = 2


@dataclass(frozen=True)
class Facts:
    receiving: bool
    spool_broken: bool
    spool_free_bytes: int
    enrolled: bool
    vault_error: str  # "" when the last exchange went well
    printer_detail: str  # "" when ready or when there is none
    slips_waiting: int
    slips_unconfirmed: tuple[str, ...]  # numbers of those that staff are asked about
    slips_overdue: tuple[str, ...]  # numbers of those that are kept back
    objects_waiting: int
    shares_held: int
    peers_parked: int
    shares_damaged: tuple[str, ...]  # ids of those with images that the disk lost before they were relayed
    requests_waiting: int = 0
    slips_locked: tuple[str, ...] = ()  # numbers of those that wait for their patient's wristband
    scanner_error: str = ""  # "" when the wristbands' scanner is there, or there is none
    pacs_error: str = ""  # "" when the PACS answers, or there is none
    senders_without_token: str = ""  # names of DICOMweb senders whose token cannot be read
    audit_error: str = ""  # "" when the audit repository takes records, or there is none


@dataclass(frozen=True)
class Sentence:
    level: Level
    what: str
    do: str = ""


SLIPS_NAMED = 3  # of many; `slipway slips list` has the others
LOW_SPACE_BYTES = 5 << 30


Row = tuple[bool, str, str]  # whether it applies, what is so, what to do


def sentences(facts: Facts) -> list[Sentence]:
    """Worst first; one that says all is well when there is nothing to say."""
    rows = [(Level.PROBLEM, row) for row in _problems(facts)] + [(Level.NOTICE, row) for row in _notices(facts)]
    found = [Sentence(level, what, do) for level, (applies, what, do) in rows if applies]
    return found or [Sentence(Level.OK, "All is well.")]


def _problems(facts: Facts) -> list[Row]:
    return [
        (facts.spool_broken, "The spool's disk failed; nothing is accepted.", "Check the disk, then restart."),
        (not facts.receiving, "The box is not listening for images.", "Look at the service's journal."),
        (not facts.enrolled, "The box is not enrolled with a vault.", "Run `slipway enrol URL CODE`."),
        (
            bool(facts.vault_error),
            f"The vault cannot be used: {facts.vault_error}. Images are kept here and go up later.",
            "Check the network and [vault] url.",
        ),
        (
            bool(facts.shares_damaged),
            f"{_shares(facts.shares_damaged)} images that the disk lost: ask for them to be sent again.",
            # Revoked first: a share that still knows them takes what comes again for copies.
            f"First `slipway shares revoke ID` ({', '.join(facts.shares_damaged)}): they come on another slip.",
        ),
        (bool(facts.printer_detail), f"The printer: {facts.printer_detail}", "See `slipway printer status`."),
        (
            facts.spool_free_bytes < LOW_SPACE_BYTES,
            f"Only {facts.spool_free_bytes >> 20} MB are free for images.",
            "Free disk space, or see why the relay does not catch up.",
        ),
        (
            bool(facts.scanner_error),
            f"The scanner: {facts.scanner_error}.",
            "Check its cable and [scanner] device; until then `slipway slips release --wristband -`.",
        ),
        (
            bool(facts.senders_without_token),
            f"Refused over DICOMweb, as the token cannot be read: {facts.senders_without_token}.",
            "`slipway peers token NAME` makes one; then `systemctl restart slipway`.",
        ),
    ]


def _notices(facts: Facts) -> list[Row]:
    return [
        (
            bool(facts.slips_unconfirmed),
            f"Did {_slips(facts.slips_unconfirmed)} come out well? The printer cannot tell.",
            "Look, then `slipway slips confirm NUMBER`, or `slipway slips lost NUMBER` for another one.",
        ),
        (
            bool(facts.slips_overdue),
            f"Kept back, as it waited too long for the printer: {_slips(facts.slips_overdue)}.",
            "`slipway slips release NUMBER` (or --all) prints it, if its patient is still here.",
        ),
        (
            bool(facts.slips_locked),
            f"Waiting for the patient's wristband: {_slips(facts.slips_locked)}.",
            "Scan it; or type what it says after `slipway slips release --wristband -`.",
        ),
        (
            facts.shares_held > 0,
            f"{facts.shares_held} held for a person to decide.",
            "See `slipway shares list --held`.",
        ),
        (
            facts.requests_waiting > 0,
            f"{facts.requests_waiting} request(s) of others wait for images, or for a person.",
            "See `slipway requests list`.",
        ),
        (
            facts.peers_parked > 0,
            f"{facts.peers_parked} unknown sender(s) wait for approval.",
            "See `slipway peers list`.",
        ),
        (
            bool(facts.pacs_error),
            f"The PACS cannot be used: {facts.pacs_error}. Studies are shared without being checked.",
            "Check [pacs] and its [[dicom.peer]]: `slipway peers echo`; see docs/pacs.md.",
        ),
        (bool(facts.audit_error), f"Audit records wait here: {facts.audit_error}.", "Check [audit] syslog."),
        (facts.slips_waiting > 0, f"{facts.slips_waiting} slip(s) wait to be printed.", ""),
        (facts.objects_waiting > 0, f"{facts.objects_waiting} object(s) are on their way to the vault.", ""),
    ]


def _slips(numbers: tuple[str, ...]) -> str:
    named = ", ".join(numbers[:SLIPS_NAMED])
    rest = len(numbers) - SLIPS_NAMED
    return "slip " + named + (f" and {rest} more" if rest > 0 else "")


def _shares(ids: tuple[str, ...]) -> str:
    return "1 share has" if len(ids) == 1 else f"{len(ids)} shares have"
