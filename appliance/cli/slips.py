"""`slipway slips`: what came out of the printer."""

from __future__ import annotations

from typing import Annotated

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="What came out of the printer: list, reprint.")

COLUMNS = ("number", "state", "patient", "link", "expires_at", "copy", "printed_at", "share")


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
