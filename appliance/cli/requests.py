"""`slipway requests`: what PACS, worklists and people have asked the box to share."""

from __future__ import annotations

from typing import Annotated

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="What others asked the box to share: list, cancel.")

COLUMNS = ("id", "kind", "state", "asked_by", "to", "since", "share", "slips", "waits_for")


@app.command("list")
def list_(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """The newest first, those of the last three days: burnt (media-creation), pushed (workitem) and pulled (pull)."""
    rows = ask(config, "requests-list")
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, "Nobody has asked for anything: see `slipway pull`, or docs/requests.md for PACS.")


@app.command()
def cancel(
    number: Annotated[int, typer.Argument(help="The request's id.", metavar="ID")],
    config: Config = DEFAULT_CONFIG,
    *,
    json: Json = False,
) -> None:
    """Take a request back before its slip is out. Images that are here stay, and can be asked for again."""
    said = ask(config, "requests-cancel", id=number)
    if json:
        print_json(said)
    else:
        print(f"Request {said['id']} is {said['state']}.")
