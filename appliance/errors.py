"""Every error of the box: what is wrong, what to do next, whether trying again can help.

Adapters translate outside exceptions into these once and keep the cause. No message here may hold a patient's data.
"""

from __future__ import annotations


class SlipwayError(Exception):
    """Base of all. `summary` is one sentence; `hint` says what to do next; `exit_status` is the command's."""

    code = "failed"
    hint = "Look at `slipway status`, then at the journal of the service: journalctl -u slipway."
    retry = False
    exit_status = 1

    def __init__(self, summary: str, *, hint: str | None = None) -> None:
        super().__init__(summary)
        self.summary = summary
        if hint is not None:
            self.hint = hint


class SettingsError(SlipwayError):
    code = "settings_wrong"
    hint = "Correct the settings file; `slipway settings show` prints what is in force."
    exit_status = 2


class FormatError(SlipwayError):
    """Bytes that are not what they should be: truncated, altered, of another version."""

    code = "format_wrong"
    hint = "The bytes were damaged or altered on their way. Fetch them again; if it persists, ask for a new slip."


class LinkMistypedError(FormatError):
    code = "link_mistyped"
    hint = "Copy the link again, or scan the code on the slip once more."


class FactorWrongError(SlipwayError):
    code = "wrong_factor"
    hint = "Check the birth date (YYYYMMDD) and try again; five wrong tries lock the link for good."


class LinkGoneError(SlipwayError):
    """Expired, revoked, locked or unknown."""

    code = "link_gone"
    hint = "Ask the imaging department to renew the link or to print a new slip."


class ProtocolError(SlipwayError):
    """A DICOM peer broke PS3.8 or PS3.7."""

    code = "protocol_broken"
    hint = "The sender does not follow the DICOM upper layer protocol; check what is connected to the box's port."


class MediaDirectoryError(SlipwayError):
    """A DICOMDIR: it says what else is on a disc, names all of its patients, and is no image of any."""

    code = "dicomdir_refused"
    hint = "Send images, reports and other objects of a study; leave a disc's DICOMDIR out."


class CertificateWrongError(ProtocolError):
    code = "certificate_wrong"


class FloodError(ProtocolError):
    """One address took more connections than the box has for those that say nothing."""

    code = "flood"
    hint = "Find out what runs at that address: a scanner, or a broken sender."


class TokenWrongError(ProtocolError):
    """An address asked over HTTP without a token, or with a wrong one, again and again."""

    code = "token_wrong"
    hint = "Compare the sender's token with what `slipway peers token NAME` printed, or make it a new one."


class SpoolFullError(SlipwayError):
    code = "spool_full"
    hint = "Free space on the spool's disk, or wait until the relay has caught up; senders may try again."
    retry = True


class SpoolBrokenError(SlipwayError):
    """A write or sync failed; after that nothing is accepted until a restart has read everything again."""

    code = "spool_broken"
    hint = "The disk under the spool failed. Check it (dmesg, smartctl), then restart the service."


class VaultUnreachableError(SlipwayError):
    code = "vault_unreachable"
    hint = "Check the network and [vault] url; the box keeps receiving and goes on by itself."
    retry = True


class VaultRefusedError(SlipwayError):
    """The vault answered, and said no."""

    code = "vault_refused"
    hint = "See `slipway status`; if the box was revoked, enrol it again with `slipway enrol URL CODE`."


class RepositoryUnreachableError(SlipwayError):
    code = "repository_unreachable"
    hint = "Check the network and [audit] syslog; records wait in the journal, in order."
    retry = True


class NotEnrolledError(SlipwayError):
    code = "not_enrolled"
    hint = "Ask the vault's operator for a code (slipway-vault enrol-code NAME), then run `slipway enrol URL CODE`."


class PrinterUnreachableError(SlipwayError):
    code = "printer_unreachable"
    hint = "Check the printer's power, cable and paper; `slipway printer status` says what the box sees."
    retry = True


class ScannerUnreachableError(SlipwayError):
    code = "scanner_unreachable"
    hint = "Check the scanner's cable and [scanner] device; `slipway slips release --wristband -` works without it."
    retry = True


class NotRunningError(SlipwayError):
    code = "not_running"
    hint = "Start the service: systemctl start slipway (or `slipway run`)."


class NotFoundError(SlipwayError):
    code = "not_found"
    hint = "List what there is: `slipway shares list`, `slipway slips list`, `slipway peers list`."


class NotPossibleError(SlipwayError):
    """A rule of the tables forbids it in this state."""

    code = "not_possible"
    hint = "`slipway shares show ID` tells in which state it is."


class ReceiverUnreachableError(SlipwayError):
    """Of reports on a workitem."""

    code = "receiver_unreachable"
    hint = "Check its [[dicom.peer]], and that it takes UPS Event from this box: slipway peers echo"
    retry = True


class PacsUnreachableError(SlipwayError):
    code = "pacs_unreachable"
    hint = "Check [pacs] and its [[dicom.peer]] with: slipway peers echo"
    retry = True


class PacsRefusedError(SlipwayError):
    """The PACS answered, and its answer was no."""

    code = "pacs_refused"
    hint = "Ask the PACS's administrator; docs/pacs.md says what it must know of this box."


class NothingFoundError(SlipwayError):
    code = "nothing_found"
    hint = "Check the number, and that the study has reached the PACS."


class NoNumberError(NothingFoundError):
    """What was asked for cannot be a number: the PACS was not asked."""

    hint = "Numbers have no *, ? or \\, and 64 characters at most."
