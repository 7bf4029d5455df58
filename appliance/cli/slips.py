"""`slipway slips`: what came out of the printer."""

from __future__ import annotations

from typing import Annotated

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="What came out of the printer: list, reprint, confirm, lost, release.")

COLUMNS = ("number", "state", "patient", "link", "expires_at", "copy", "printed_at", "share", "to_do")


@app.command("list")
def list_(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """The newest first."""
    rows = ask(config, "slips-list")
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, "No slip yet: send a study to the box's AE title.")


@app.command()
def reprint(
    number: Annotated[str, typer.Argument(help="The number on the slip.", metavar="NUMBER")],
    config: Config = DEFAULT_CONFIG,
    *,
    why: Annotated[str, typer.Option(prompt="Why (lost, unreadable, …)", help="For the record.")],
    json: Json = False,
) -> None:
    """Print a new slip with a new code; the old one stops working."""
    share = ask(config, "slips-reprint", number=number, why=why)
    if json:
        print_json(share)
    else:
        print(f"Slip {share['slips'][-1]['number']} is queued; every older slip of this share is dead.")


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
    json: Json = False,
) -> None:
    """Print a slip that was kept back because it waited too long for the printer."""
    if bool(number) == all_:
        raise typer.BadParameter("give a slip's NUMBER, or --all")
    said = ask(config, "slips-release", number=number, all=all_)
    if json:
        print_json(said)
    else:
        print(f"To be printed: {', '.join(said['released']) or 'nothing was kept back'}.")
