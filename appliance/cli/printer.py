"""`slipway printer`: what is plugged in, how it is, and a test page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, load, print_json, print_table, run
from appliance.config import Settings
from appliance.errors import NotRunningError, PrinterUnreachableError

if TYPE_CHECKING:
    from appliance.ports import PrintOutcome

app = typer.Typer(no_args_is_help=True, help="The slip printer: list, status, test.")

NO_MODEL = "  # it does not say what it is; see docs/printers.md"


@app.command("list")
def list_(
    config: Config = DEFAULT_CONFIG,
    *,
    json: Json = False,
    network: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="Also look at port 9100 there. May be repeated.")
    ] = None,
) -> None:
    """Receipt printers on USB, serial ports and named addresses, with the words for [printer]."""
    from appliance.adapters.printers import finding

    found = finding.find_local() + run(finding.find_at(network or []))
    rows = [vars(one) for one in found]
    if json:
        print_json(rows)
        return
    empty = "No receipt printer on USB, no serial port. Check power and cable, then try again."
    print_table(rows, ["device", "maker", "name", "serial", "model"], empty)
    if found:
        print(f'\nFor {config}:\n[printer]\ndevice = "{found[0].device}"')
        print(f'model = "{found[0].model or "generic-80"}"' + ("" if found[0].model else NO_MODEL))


@app.command()
def status(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """What the printer says of itself. Exit status 1 when it cannot print."""
    value = ask(config, "printer-status")
    if json:
        print_json(value)
    else:
        print("Ready to print." if value["ready"] else f"Not ready: {value['detail']}")
        print(f"  reachable {value['reachable']}, paper {value['paper']}, cover open {value['cover_open']}")
    if not value["ready"]:
        raise typer.Exit(1)


@app.command("test")
def print_test(config: Config = DEFAULT_CONFIG) -> None:
    """Print a page that measures width, density and the finest code, then a sample slip; say what to look at."""
    from appliance.formats import measuring_page, printer_profiles
    from appliance.ports import PrintOutcome

    try:
        outcome = PrintOutcome(ask(config, "printer-test"))
    except NotRunningError:  # nobody else has the printer open
        outcome = _print_here(load(config))
    if outcome not in (PrintOutcome.PRINTED, PrintOutcome.TAKEN):
        raise PrinterUnreachableError(f"the test slip was not confirmed ({outcome})")
    if outcome is PrintOutcome.TAKEN:
        print("This printer cannot say whether a slip came out: look. Staff will be asked about each slip.")
    else:
        print("The test page is out.")
    printer = load(config).printer
    print(measuring_page.advice(printer_profiles.find(printer.model, printer.density)))


def _print_here(settings: Settings) -> PrintOutcome:
    from appliance.adapters.printers import open_printer
    from appliance.daemon.compose import slip_look
    from appliance.daemon.specimen import specimen
    from appliance.formats import printer_profiles

    model = printer_profiles.find(settings.printer.model, settings.printer.density)
    job = specimen(slip_look(settings), model)
    return run(open_printer(settings.printer.device, model).print(job))
