"""`slipway slips`: what came out of the printer."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, print_json, print_table
from appliance.core import reprint as reprinting

app = typer.Typer(
    no_args_is_help=True, help="What came out of the printer: list, reprint, confirm, lost, release, pin."
)

COLUMNS = ("number", "state", "patient", "link", "expires_at", "copy", "printed_at", "share", "to_do")


@app.command("list")
def list_(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """The newest first."""
    rows = ask(config, "slips-list")
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, "No slip yet: send a study to the box's AE title.")


def _reasons(typed: str) -> list[tuple[str, str]]:
    """For the shell's completion."""
    known = [(str(reason), words) for reason, words in reprinting.WORDS.items()]
    return [choice for choice in (*known, ("other:", "in your words")) if choice[0].startswith(typed)]


def _ask_why() -> str:
    if not sys.stdin.isatty():
        raise reprinting.ReasonWrongError("another slip needs a reason: --reason")
    answer: str = typer.prompt(f"Why ({reprinting.CHOICES})")
    return answer


@app.command()
def reprint(
    number: Annotated[str, typer.Argument(help="The number on the slip.", metavar="NUMBER")],
    config: Config = DEFAULT_CONFIG,
    *,
    reason: Annotated[
        str, typer.Option(help=f"Why, for the record: {reprinting.CHOICES}.", autocompletion=_reasons)
    ] = "",
    why: Annotated[str, typer.Option(help="The same in any words.", hidden=True)] = "",
    json: Json = False,
) -> None:
    """Print a new slip with a new code; the old one stops working."""
    given, words = (None, why) if why else reprinting.in_words(reason or _ask_why())
    share = ask(config, "slips-reprint", number=number, why=words)
    if json:
        print_json(share)
        return
    print(f"Slip {share['slips'][-1]['number']} is queued. It comes out when every older slip of this share is dead.")
    if given in reprinting.TO_DO:
        print(reprinting.TO_DO[given])


@app.command()
def confirm(
    number: Annotated[str, typer.Argument(help="The number on the slip.", metavar="NUMBER")],
    config: Config = DEFAULT_CONFIG,
    *,
    json: Json = False,
) -> None:
    """Say that a slip came out well, where the printer cannot tell."""
    said = ask(config, "slips-confirm", number=number)
    if json:
        print_json(said)
    else:
        print(f"Slip {said['number']} is {said['state']}.")


@app.command()
def lost(
    number: Annotated[str, typer.Argument(help="The number on the slip.", metavar="NUMBER")],
    config: Config = DEFAULT_CONFIG,
    *,
    json: Json = False,
) -> None:
    """Say that a slip did not come out, or not well: its code stops working, and another slip is printed."""
    said = ask(config, "slips-lost", number=number)
    if json:
        print_json(said)
    elif said["newest"] != said["number"]:
        print(f"Slip {said['number']} is dead; slip {said['newest']} takes its place.")
    else:
        print(f"Slip {said['number']} is dead.")


@app.command()
def release(
    number: Annotated[str, typer.Argument(help="The number on the slip.", metavar="NUMBER")] = "",
    config: Config = DEFAULT_CONFIG,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Every slip that was kept back.")] = False,
    wristband: Annotated[
        str, typer.Option(metavar="CODE", help="What a wristband says; -: it is asked for, and no shell remembers it.")
    ] = "",
    json: Json = False,
) -> None:
    """Print a slip that was kept back because it waited too long, or that waits for its patient's wristband."""
    if wristband:
        said = ask(config, "slips-release-wristband", wristband=_wristband(wristband), number=number)
    elif bool(number) == all_:
        raise typer.BadParameter("give a slip's NUMBER, --all, or --wristband CODE")
    else:
        said = ask(config, "slips-release", number=number, all=all_)
    if json:
        print_json(said)
    else:
        print(f"To be printed: {', '.join(said['released']) or 'nothing was kept back'}.")


@app.command()
def pin(
    number: Annotated[str, typer.Argument(help="The number on the slip.", metavar="NUMBER")],
    config: Config = DEFAULT_CONFIG,
    *,
    json: Json = False,
) -> None:
    """Show a slip's PIN, where its staff slip is lost: tell only the patient. It is recorded who asked."""
    said = ask(config, "slips-pin", number=number)
    if json:
        print_json(said)
    else:
        print(f"PIN of slip {said['number']}: {said['pin']}")


def _wristband(given: str) -> str:
    """Not shown where it is typed: people stand around."""
    if given != "-":
        return given
    return getpass.getpass("Wristband: ") if sys.stdin.isatty() else sys.stdin.readline()
