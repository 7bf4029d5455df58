"""`slipway peers`: who may send."""

from __future__ import annotations

from sys import stderr
from typing import Annotated

import typer

from appliance.adapters.pacs import echo_all
from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, load, mark, print_json, print_table, run
from appliance.errors import NotFoundError

app = typer.Typer(no_args_is_help=True, help="Who may send: list, approve, token; and who answers: echo.")

COLUMNS = ("ae_title", "address", "state", "attempts", "first_seen", "last_seen")


@app.command("list")
def list_(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """Senders that called and are not in the settings."""
    rows = ask(config, "peers-list")
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, "No sender is waiting for approval.")


@app.command()
def approve(
    ae_title: Annotated[str, typer.Argument(help="The sender's AE title.")],
    address: Annotated[str, typer.Argument(help="Its IP address; without one, all from which it called.")] = "",
    config: Config = DEFAULT_CONFIG,
    *,
    json: Json = False,
) -> None:
    """Let a parked sender send from now on."""
    rows = ask(config, "peers-approve", ae_title=ae_title, address=address)
    if json:
        print_json(rows)
    else:
        for row in rows:
            print(f"{row['ae_title']} at {row['address']} may send now. Send the study again.")


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Of a [[dicomweb.client]].")],
    config: Config = DEFAULT_CONFIG,
    *,
    json: Json = False,
) -> None:
    """Make a sender over HTTP (DICOMweb) a new token. It is shown once; the one before ends with the next restart."""
    from appliance.adapters import tokens

    settings = load(config)
    client = next((client for client in settings.dicomweb.client if client.name == name), None)
    if client is None:
        hint = "Add it to the settings first; docs/dicomweb.md has an example."
        raise NotFoundError(f"no [[dicomweb.client]] has the name {name}", hint=hint)
    path = tokens.place(settings.spool.path, name, client.token_file)
    made = tokens.make(path)
    if json:
        print_json({"name": name, "token": made, "file": str(path)})
    else:
        print(made)
        print("Give it to the sender now: the box keeps its SHA-256 only, and cannot show it again.", file=stderr)
        print("Then: systemctl restart slipway", file=stderr)


@app.command()
def echo(
    ae_title: Annotated[str, typer.Argument(help="Of a [[dicom.peer]] with a port; without one, all of them.")] = "",
    config: Config = DEFAULT_CONFIG,
    *,
    json: Json = False,
) -> None:
    """Ask others whether they answer (C-ECHO). Exit status 1 when one does not."""
    settings = load(config)
    peers = [peer for peer in settings.dicom.peer if peer.port and ae_title in ("", peer.ae_title)]
    if not peers:
        raise NotFoundError(
            f"no [[dicom.peer]] {ae_title} has a port" if ae_title else "no [[dicom.peer]] has a port",
            hint="The box calls those only whose port the settings name.",
        )
    calling = settings.profile[0].ae_title
    answers = run(echo_all([(peer.address, peer.port or 0, peer.ae_title) for peer in peers], calling))
    if json:
        print_json([{"ae_title": title, "answers": not wrong, "wrong": wrong} for title, wrong in answers])
    else:
        for title, wrong in answers:
            print(f"{mark('problem' if wrong else 'ok')} {title}: {wrong or 'answers'}")
    if any(wrong for _, wrong in answers):
        raise typer.Exit(1)
