"""What a printer's answers say of it, in one status and one sentence for a person. Asking is `conversation`."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.formats.escpos import AutomaticStatus, PaperStatus, RealTimeStatus
from appliance.ports import Paper, PrinterStatus

NO_ANSWER = (
    "The printer takes bytes but answers nothing. Check [printer] model, and that no other program holds the printer; "
    "a model that never answers is generic-80-mute or generic-58-mute."
)
NO_ANSWER_IN_TURN = (
    "The printer does not answer: put in paper, close the cover, switch it on. If it prints all the same, "
    "check [printer] model; a model that never answers is generic-80-mute or generic-58-mute."
)
TELLS_NOTHING = "This model does not tell how it is."


@dataclass(frozen=True)
class _Told:
    paper: Paper
    offline: bool = False
    cover_open: bool | None = None
    error: bool = False
    cutter_error: bool = False
    unrecoverable_error: bool = False
    feed_button: bool = False


def judge_real_time(
    printer: RealTimeStatus, cause: RealTimeStatus, fault: RealTimeStatus, roll: RealTimeStatus
) -> PrinterStatus:
    """From the answers to DLE EOT 1 to 4."""
    return _judge(
        _Told(
            paper=_paper(roll.paper_end or cause.stopped_by_paper_end, roll.paper_near_end),
            offline=printer.offline,
            cover_open=cause.cover_open,
            error=cause.error,
            cutter_error=fault.cutter_error,
            unrecoverable_error=fault.unrecoverable_error,
            feed_button=printer.feed_button,
        )
    )


def judge_automatic(frame: AutomaticStatus) -> PrinterStatus:
    return _judge(
        _Told(
            paper=_paper(frame.paper_end, frame.paper_near_end),
            offline=frame.offline,
            cover_open=frame.cover_open,
            error=frame.error,
            cutter_error=frame.cutter_error,
            unrecoverable_error=frame.unrecoverable_error,
        )
    )


def judge_in_turn(answer: PaperStatus) -> PrinterStatus:
    """From the answer to GS r, which only comes while the printer is online."""
    return _judge(_Told(paper=_paper(answer.paper_end, answer.paper_near_end)))


def _paper(end: bool, near_end: bool) -> Paper:
    return Paper.OUT if end else Paper.LOW if near_end else Paper.OK


def _judge(told: _Told) -> PrinterStatus:
    error = told.error or told.cutter_error or told.unrecoverable_error
    explained = told.paper is Paper.OUT or told.cover_open or error
    return PrinterStatus(
        reachable=True,
        paper=told.paper,
        cover_open=told.cover_open,
        error=error or (told.offline and not explained),
        detail=_sentence(told),
        feed_button=told.feed_button,
    )


def _sentence(told: _Told) -> str:
    """The first thing to put right; a cover is opened to change the roll, so it comes before the paper."""
    for is_so, sentence in (
        (told.cover_open, "The printer's cover is open: close it."),
        (told.paper is Paper.OUT, "The printer is out of paper: put in a new roll."),
        (told.cutter_error, "The paper cutter is jammed: open the cover, take out the paper, switch off and on."),
        (
            told.unrecoverable_error,
            "The printer reports a fault that only service can clear: switch it off and on once.",
        ),
        (told.error, "The printer reports an error: switch it off and on."),
        (told.offline and told.feed_button, "The printer's feed button is pressed."),
        (told.offline, "The printer is offline: press its feed button, or switch it off and on."),
        (told.paper is Paper.LOW, "The paper roll is nearly used up."),
    ):
        if is_so:
            return sentence
    return "The printer is ready."
