"""`none`: a box without a printer; links are handed out by other means."""

from __future__ import annotations

from appliance.ports import PrinterStatus, PrintJob, PrintOutcome


class AbsentPrinter:
    """The port `Printer`. Nothing ever leaves, so every job is REFUSED."""

    async def status(self) -> PrinterStatus:
        return PrinterStatus(reachable=False, detail="No printer is set up: see [printer] device.")

    async def print(self, job: PrintJob) -> PrintOutcome:
        return PrintOutcome.REFUSED
