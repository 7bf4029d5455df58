"""How a slip is printed on any line: ask how the printer is, send, wait for its word.

The rule of the house: silence is never taken for success. Before the first byte of a job anything doubtful is REFUSED,
which is safe to try again; after it anything doubtful is UNKNOWN, and the slip's link must be revoked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from appliance.adapters.printers.transport import Transport
from appliance.errors import PrinterUnreachableError
from appliance.formats import escpos
from appliance.formats.printer_profiles import Confirmation, Profile
from appliance.ports import Paper, PrinterStatus, PrintJob, PrintOutcome

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """Seconds."""

    open_s: float = 5.0
    write_s: float = 5.0  # for one piece; a printer at work holds its line for a second or two
    answer_s: float = 2.0  # DLE EOT is answered at once; network printers take up to 0.5 s
    confirm_s: float = 20.0  # from the last byte to the process id: printing, cutting, and a roll being changed
    quiet_s: float = 0.05  # nothing for so long: no answer to an earlier question is on its way


PIECE_BYTES = 4096  # a failing line is noticed after at most so much


class _Question(Enum):
    PRINTER = escpos.ASK_PRINTER
    OFFLINE_CAUSE = escpos.ASK_OFFLINE_CAUSE
    ERROR_CAUSE = escpos.ASK_ERROR_CAUSE
    PAPER = escpos.ASK_PAPER


class ConversingPrinter:
    """The port `Printer` over any transport. One conversation at a time; each opens the line and closes it."""

    def __init__(self, transport: Transport, profile: Profile, timing: Timing | None = None) -> None:
        self._transport = transport
        self._profile = profile
        self._timing = timing or Timing()
        self._turn = asyncio.Lock()

    async def status(self) -> PrinterStatus:
        async with self._turn:
            try:
                await self._transport.open(self._timing.open_s)
                return await self._how_it_is()
            except PrinterUnreachableError as error:
                return PrinterStatus(reachable=False, detail=f"{error.summary}. {error.hint}")
            finally:
                await self._transport.close()

    async def print(self, job: PrintJob) -> PrintOutcome:
        """REFUSED until the first byte of the job, UNKNOWN from there until the printer's word."""
        async with self._turn:
            try:
                return await self._converse(job)
            finally:
                await self._transport.close()

    async def _converse(self, job: PrintJob) -> PrintOutcome:
        try:
            await self._transport.open(self._timing.open_s)
            status = await self._how_it_is()
        except PrinterUnreachableError as error:
            log.warning("slip %s not sent: %s", job.number, error.summary)
            return PrintOutcome.REFUSED
        if not status.ready:
            log.warning("slip %s not sent: %s", job.number, status.detail)
            return PrintOutcome.REFUSED
        try:
            await self._send(job.data)
            printed = await self._confirmed(job.process_id)
        except PrinterUnreachableError as error:
            log.warning("slip %s: the line broke after its first byte: %s", job.number, error.summary)
            return PrintOutcome.UNKNOWN
        return PrintOutcome.PRINTED if printed else PrintOutcome.UNKNOWN

    async def _send(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            await self._transport.write(data[start : start + PIECE_BYTES], self._timing.write_s)

    async def _confirmed(self, process_id: bytes) -> bool:
        match self._profile.confirmation:
            case Confirmation.PROCESS_ID:
                return await self._has_answered(escpos.ProcessId(process_id))
            case Confirmation.STATUS:
                return (await self._how_it_is()).ready
            case Confirmation.NONE:
                return True

    async def _has_answered(self, expected: escpos.ProcessId) -> bool:
        """Whether this very id comes back in time; the late id of another slip confirms nothing."""
        return await self._hear(lambda answer: answer == expected, self._timing.confirm_s) is not None

    async def _how_it_is(self) -> PrinterStatus:
        if self._profile.confirmation is Confirmation.NONE:
            return PrinterStatus(reachable=True, detail="This model does not tell how it is.")
        await self._drop_late_answers()
        answers: dict[_Question, escpos.RealTimeStatus] = {}
        for question in _Question:
            answer = await self._ask(question)
            if answer is None:
                return PrinterStatus(reachable=False, detail=NO_ANSWER)
            answers[question] = answer
        return _judge(answers)

    async def _drop_late_answers(self) -> None:
        """An answer left over from an earlier conversation would be taken for that to the first question."""
        deadline = _now() + self._timing.answer_s
        while _now() < deadline and await self._transport.read(self._timing.quiet_s):
            pass

    async def _ask(self, question: _Question) -> escpos.RealTimeStatus | None:
        await self._transport.write(question.value, self._timing.write_s)
        answer = await self._hear(lambda answer: isinstance(answer, escpos.RealTimeStatus), self._timing.answer_s)
        return answer if isinstance(answer, escpos.RealTimeStatus) else None

    async def _hear(self, wanted: Callable[[escpos.Answer], bool], within_s: float) -> escpos.Answer | None:
        """The first wanted answer; None when the time is over, however much else the printer chatters."""
        parser, deadline = escpos.Answers(), _now() + within_s
        while (left := deadline - _now()) > 0:
            for answer in parser.feed(await self._transport.read(left)):
                if wanted(answer):
                    return answer
        return None


NO_ANSWER = (
    "The printer takes bytes but answers nothing. Check [printer] model, and that no other program holds the printer; "
    "a model that never answers is generic-80-mute or generic-58-mute."
)


def _judge(answers: dict[_Question, escpos.RealTimeStatus]) -> PrinterStatus:
    cause, fault, roll = (answers[q] for q in (_Question.OFFLINE_CAUSE, _Question.ERROR_CAUSE, _Question.PAPER))
    paper = (
        Paper.OUT if roll.paper_end or cause.stopped_by_paper_end else Paper.LOW if roll.paper_near_end else Paper.OK
    )
    error = cause.error or fault.cutter_error or fault.unrecoverable_error
    offline = answers[_Question.PRINTER].offline
    explained = paper is Paper.OUT or cause.cover_open or error
    return PrinterStatus(
        reachable=True,
        paper=paper,
        cover_open=cause.cover_open,
        error=error or (offline and not explained),
        detail=_sentence(paper, cause, fault, offline=offline),
    )


def _sentence(paper: Paper, cause: escpos.RealTimeStatus, fault: escpos.RealTimeStatus, *, offline: bool) -> str:
    """The first thing to put right; a cover is opened to change the roll, so it comes before the paper."""
    for is_so, sentence in (
        (cause.cover_open, "The printer's cover is open: close it."),
        (paper is Paper.OUT, "The printer is out of paper: put in a new roll."),
        (fault.cutter_error, "The paper cutter is jammed: open the cover, take out the paper, switch off and on."),
        (
            fault.unrecoverable_error,
            "The printer reports a fault that only service can clear: switch it off and on once.",
        ),
        (cause.error, "The printer reports an error: switch it off and on."),
        (offline, "The printer is offline: press its feed button, or switch it off and on."),
        (paper is Paper.LOW, "The paper roll is nearly used up."),
    ):
        if is_so:
            return sentence
    return "The printer is ready."


def _now() -> float:
    return asyncio.get_running_loop().time()
