"""`slipway requests`: what PACS, worklists and people have asked the box to share."""

from __future__ import annotations

from typing import Annotated

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, print_json, print_table, quietly

app = typer.Typer(no_args_is_help=True, help="What others asked the box to share: list, cancel.")

MOST = (1 << 63) - 1  # as the journal counts
COLUMNS = ("id", "kind", "state", "asked_by", "to", "since", "share", "slips", "waits_for")


def _ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """For the shell's completion: those that can still be taken back."""
    rows = quietly(ctx.params.get("config") or DEFAULT_CONFIG, "requests-list") or []
    open_ = [row for row in rows if row["state"] in ("idle", "pending", "creating")]
    return [(str(row["id"]), row["kind"]) for row in open_ if str(row["id"]).startswith(incomplete)]


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
    number: Annotated[
        int, typer.Argument(help="The request's id.", metavar="ID", min=1, max=MOST, autocompletion=_ids)
    ],
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
