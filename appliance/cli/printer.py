"""`slipway printer`: what is plugged in, how it is, and a test page."""

from __future__ import annotations

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, load, print_json, print_table, run
from appliance.errors import PrinterUnreachableError

app = typer.Typer(no_args_is_help=True, help="The slip printer: list, status, test.")

TEST_URL = "https://slipway.test/#" + "A" * 67  # as long as a real link, and opens nothing


@app.command("list")
def list_(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """Receipt printers on USB, with the words for [printer] device."""
    from appliance.adapters.printers import list_usb

    rows = [vars(printer) for printer in list_usb()]
    if json:
        print_json(rows)
    else:
        columns = list(rows[0]) if rows else []
        print_table(rows, columns, "No receipt printer on USB. Check its power and cable, then try again.")


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
    """Print a slip whose code opens nothing: width, cutter and contrast at a glance."""
    from appliance.adapters.printers import open_printer
    from appliance.formats import escpos, printer_profiles, slip_bitmap
    from appliance.formats.slip_text import SlipFace
    from appliance.ports import PrintJob, PrintOutcome

    settings = load(config)
    model = printer_profiles.find(settings.printer.model)
    face = SlipFace(
        site=settings.site.name,
        url=TEST_URL,
        number="TEST",
        initials="T.T.",
        birth_year="1970",
        valid_until="never: this is a test",
    )
    picture = slip_bitmap.render(face, model.dots(settings.printer.paper_mm))
    job = PrintJob("TEST", escpos.slip(picture, model, b"TEST"), slip_bitmap.png(picture), b"TEST")
    outcome = run(open_printer(settings.printer.device, model).print(job))
    if outcome is not PrintOutcome.PRINTED:
        raise PrinterUnreachableError(f"the test slip was not confirmed ({outcome})")
    print("The test slip is out. Scan it: the phone must show https://slipway.test/")
