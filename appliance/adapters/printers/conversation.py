"""How a slip is printed on any line: ask how the printer is, send, wait for its word.

The rule of the house: silence is never taken for success. Before the first byte of a job anything doubtful is REFUSED,
which is safe to try again; after it anything doubtful is UNKNOWN, and the slip's link must be revoked. A model that
cannot prove a slip at all gives TAKEN, and a person is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from appliance.adapters.printers import judgement
from appliance.adapters.printers.read_back import ReadBack
from appliance.adapters.printers.transport import Transport
from appliance.errors import PrinterUnreachableError
from appliance.formats import escpos
from appliance.formats.escpos import AutomaticStatus, Cleared, PaperStatus, ProcessId, RealTimeStatus
from appliance.formats.printer_profiles import Confirmation, Profile
from appliance.ports import Paper, PrinterStatus, PrintJob, PrintOutcome

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """Seconds."""

    open_s: float = 5.0
    write_s: float = 3.5  # for one piece; a printer at work holds its line for a second or two, and staff are told in 5
    answer_s: float = 2.0  # DLE EOT is answered at once; network printers take up to 0.5 s
    confirm_s: float = 20.0  # from the last byte to the process id: printing, cutting, and a roll being changed
    quiet_s: float = 0.05  # nothing for so long: no answer to an earlier question is on its way
    settle_s: float = 5.0  # a slip of 14 cm at 50 mm/s, the slowest printers': so long after it trouble may be its own


PIECE_BYTES = 4096  # a failing line is noticed after at most so much
QUESTIONS = (escpos.ASK_PRINTER, escpos.ASK_OFFLINE_CAUSE, escpos.ASK_ERROR_CAUSE, escpos.ASK_PAPER)
REHEARSAL = b"idle"  # a process id of no slip: theirs are hexadecimal
UNDER_WAY = PrinterStatus(reachable=True, detail="A slip is being printed.")
IN_TURN = (ProcessId, PaperStatus)  # answers that may come long after they were asked for
LOOK_EVERY_S = 2.0
SETTLE_LOOKS = 5


class ConversingPrinter:
    """The port `Printer` over any transport. One conversation at a time; each opens the line and closes it."""

    def __init__(
        self,
        transport: Transport,
        profile: Profile,
        timing: Timing | None = None,
        read_back: ReadBack | None = None,
    ) -> None:
        self._transport = transport
        self._read_back = read_back
        self._profile = profile
        self._timing = timing or Timing()
        self._turn = asyncio.Lock()
        self._answers = escpos.Answers()
        self._kept: list[escpos.Answer] = []  # that came in its turn, while something else was asked
        self._under_way: PrinterStatus | None = None  # how it is, as told since the slip began

    async def status(self) -> PrinterStatus:
        if self._under_way is not None:
            return self._under_way
        async with self._turn:
            try:
                await self._open()
                return await self._how_it_is()
            except PrinterUnreachableError as error:
                return _unreachable(error)
            finally:
                await self._transport.close()

    async def print(self, job: PrintJob) -> PrintOutcome:
        """REFUSED until the first byte of the job, UNKNOWN from there until the printer's word."""
        async with self._turn:
            self._under_way = UNDER_WAY
            try:
                outcome = await self._converse(job)
                await self._transport.close()
                if outcome is PrintOutcome.UNKNOWN:
                    await self._drop_the_rest()
                return outcome
            finally:
                self._under_way = None
                await self._transport.close()

    async def _converse(self, job: PrintJob) -> PrintOutcome:
        try:
            await self._open()
            status = await self._how_it_is()
            if not status.ready:
                log.warning("slip %s not sent: %s", job.number, status.detail)
                return PrintOutcome.REFUSED
            self._under_way = replace(status, feed_button=False)  # its only look for long: nobody holds it so long
            if job.after_doubt and not await self._starts_clean():
                log.warning(
                    "slip %s not sent: the printer is ready, but does not confirm as its model does", job.number
                )
                return PrintOutcome.REFUSED
            proves = await self._proves()
        except PrinterUnreachableError as error:
            log.warning("slip %s not sent: %s", job.number, error.summary)
            return PrintOutcome.REFUSED
        try:
            return await self._print(job, proves=proves)
        except PrinterUnreachableError as error:
            self._under_way = _unreachable(error)
            log.warning("slip %s: the line broke after its first byte: %s", job.number, error.summary)
            return PrintOutcome.UNKNOWN

    # -- before the slip -------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        self._forget_answers()
        await self._transport.open(self._timing.open_s)

    async def _starts_clean(self) -> bool:
        """Nothing of an earlier slip comes out in front of the next one, and a printer that confirms does.

        Paper moves only when all that is known: a printer that does not confirm is asked again and again.
        """
        if not (self._profile.clears and await self._cleared()):
            await self._send(escpos.end_unfinished())
        if self._profile.confirmation is Confirmation.PROCESS_ID:
            await self._send(escpos.INITIALISE + escpos.request_process_id(REHEARSAL))
            if not await self._has_answered(REHEARSAL):
                return False
        await self._send(escpos.INITIALISE + escpos.tear(self._profile))  # what hangs from the printer
        return True

    async def _cleared(self) -> bool:
        await self._transport.write(escpos.CLEAR, self._timing.write_s)
        return await self._hear(lambda answer: isinstance(answer, Cleared), self._timing.answer_s) is not None

    async def _proves(self) -> bool:
        """Whether this printer's word on the slip will count: that in its turn does if it also comes now."""
        if self._profile.confirmation is not Confirmation.STATUS:
            return self._profile.confirmation is Confirmation.PROCESS_ID
        return self._profile.in_turn and await self._ask_in_turn(self._timing.answer_s) is not None

    # -- the slip, and after it ------------------------------------------------------------------------------------

    async def _send(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            await self._transport.write(data[start : start + PIECE_BYTES], self._timing.write_s)

    async def _print(self, job: PrintJob, *, proves: bool) -> PrintOutcome:
        """A slip that is read back is cut off only when its code has been read; else it is spoilt before it is cut."""
        await self._send(job.data)
        outcome = await self._judge(job, proves=proves)
        if not job.ending or outcome is PrintOutcome.UNKNOWN:
            return outcome
        if self._read_back and await self._read_back.confirms(job):
            await self._send(job.ending)
            return await self._judge(job, proves=proves)
        log.warning("slip %s: its code was not read back, so it is spoilt and void", job.number)
        await self._send(job.void)
        await self._judge(job, proves=proves)  # until it is out: what comes next makes the printer forget the rest
        return PrintOutcome.UNKNOWN

    async def _judge(self, job: PrintJob, *, proves: bool) -> PrintOutcome:
        match self._profile.confirmation:
            case Confirmation.PROCESS_ID:
                printed = await self._has_answered(job.process_id)
            case Confirmation.STATUS if proves:
                printed = await self._worked_through()
            case Confirmation.STATUS:
                return PrintOutcome.TAKEN if await self._stays_ready() else PrintOutcome.UNKNOWN
            case Confirmation.NONE:
                return PrintOutcome.TAKEN
        if printed and self._profile.automatic:
            with contextlib.suppress(PrinterUnreachableError):  # the slip is out, whatever becomes of the line now
                await self._transport.write(escpos.AUTOMATIC_OFF, self._timing.write_s)
        return PrintOutcome.PRINTED if printed else PrintOutcome.UNKNOWN

    async def _worked_through(self) -> bool:
        await self._transport.write(escpos.ASK_PAPER_IN_TURN, self._timing.write_s)
        paper = await self._word(lambda answer: isinstance(answer, PaperStatus))
        return isinstance(paper, PaperStatus) and not paper.paper_end and (await self._how_it_is()).ready

    async def _stays_ready(self) -> bool:
        """DLE EOT is answered while the slip is still in the buffer: trouble of its own may come until it is out."""
        for _ in range(SETTLE_LOOKS):
            if not (await self._how_it_is()).ready:
                return False
            await asyncio.sleep(self._timing.settle_s / SETTLE_LOOKS)
        return (await self._how_it_is()).ready

    async def _has_answered(self, process_id: bytes) -> bool:
        """Whether this very id comes back in time; the late id of another slip confirms nothing."""
        expected = ProcessId(process_id)
        return await self._word(lambda answer: answer == expected) is not None

    async def _word(self, wanted: Callable[[escpos.Answer], bool]) -> escpos.Answer | None:
        """The answer that proves the slip. A printer that tells nothing by itself is looked at meanwhile."""
        deadline = _now() + self._timing.confirm_s
        looks = self._profile.real_time and not self._profile.automatic
        while (left := deadline - _now()) > 0:
            if answer := await self._hear(wanted, min(left, LOOK_EVERY_S) if looks else left):
                return answer
            if looks and (status := await self._look()):
                self._tell(status)
        return None

    async def _drop_the_rest(self) -> None:
        """What the printer still holds of a doubtful slip would come out when its paper is changed."""
        if not self._profile.clears:
            return
        try:
            await self._open()
            await self._cleared()
        except PrinterUnreachableError as error:
            log.warning("what the printer may still hold was not cleared: %s", error.summary)

    # -- questions and answers -------------------------------------------------------------------------------------

    async def _how_it_is(self) -> PrinterStatus:
        if self._profile.confirmation is Confirmation.NONE:
            return PrinterStatus(reachable=True, detail=judgement.TELLS_NOTHING)
        await self._drop_late_answers()
        if not self._profile.real_time:
            return await self._how_it_is_in_turn()
        return await self._look() or PrinterStatus(reachable=False, detail=judgement.NO_ANSWER)

    async def _look(self) -> PrinterStatus | None:
        """None when it does not answer."""
        answers: list[RealTimeStatus] = []
        for question in QUESTIONS:
            answer = await self._ask(question)
            if answer is None:
                return None
            answers.append(answer)
        return judgement.judge_real_time(*answers)

    async def _how_it_is_in_turn(self) -> PrinterStatus:
        paper = await self._ask_in_turn(self._timing.answer_s)
        if paper is None:  # it may have taken the question for dots of a slip that broke off
            await self._send(escpos.end_unfinished())
            paper = await self._ask_in_turn(self._timing.answer_s)
        silent = PrinterStatus(reachable=False, detail=judgement.NO_ANSWER_IN_TURN)
        return judgement.judge_in_turn(paper) if paper else silent

    async def _drop_late_answers(self) -> None:
        """An answer left over from an earlier conversation would be taken for that to the first question."""
        deadline = _now() + self._timing.answer_s
        while _now() < deadline and await self._transport.read(self._timing.quiet_s):
            pass
        self._forget_answers()

    def _forget_answers(self) -> None:
        self._answers, self._kept = escpos.Answers(), []

    async def _ask(self, question: bytes) -> RealTimeStatus | None:
        await self._transport.write(question, self._timing.write_s)
        answer = await self._hear(lambda answer: isinstance(answer, RealTimeStatus), self._timing.answer_s)
        return answer if isinstance(answer, RealTimeStatus) else None

    async def _ask_in_turn(self, within_s: float) -> PaperStatus | None:
        await self._transport.write(escpos.ASK_PAPER_IN_TURN, self._timing.write_s)
        answer = await self._hear(lambda answer: isinstance(answer, PaperStatus), within_s)
        return answer if isinstance(answer, PaperStatus) else None

    async def _hear(self, wanted: Callable[[escpos.Answer], bool], within_s: float) -> escpos.Answer | None:
        """The first wanted answer; None when the time is over, however much else the printer chatters."""
        deadline = _now() + within_s
        while not (found := [answer for answer in self._kept if wanted(answer)]):
            if (left := deadline - _now()) <= 0:
                return None
            for answer in self._answers.feed(await self._transport.read(left)):
                self._note(answer)
        self._kept = [answer for answer in self._kept if isinstance(answer, IN_TURN) and answer is not found[0]]
        return found[0]

    def _note(self, answer: escpos.Answer) -> None:
        """While a slip is under way, what the printer tells of itself is told on."""
        if isinstance(answer, AutomaticStatus):
            self._tell(judgement.judge_automatic(answer))
        else:
            self._kept.append(answer)

    def _tell(self, status: PrinterStatus) -> None:
        if self._under_way is None:
            return
        if status.ready != self._under_way.ready:
            log.warning("while a slip is under way: %s", status.detail)
        self._under_way = status


def _unreachable(error: PrinterUnreachableError) -> PrinterStatus:
    return PrinterStatus(reachable=False, paper=Paper.UNKNOWN, detail=f"{error.summary}. {error.hint}")


def _now() -> float:
    return asyncio.get_running_loop().time()
