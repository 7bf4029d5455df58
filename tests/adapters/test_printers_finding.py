"""What `slipway printer list` finds. USB itself is in test_printers_usb."""

from __future__ import annotations

import pytest

from appliance.adapters.printers import finding
from appliance.adapters.printers.usb_bus import UsbPrinter
from appliance.errors import SettingsError
from tests.fakes.printers import ConfirmingPrinter


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("TM-T20II", "TM-T20II"),
        ("EPSON TM-T88VI Receipt", "TM-T88VI"),
        ("TM-m30", "TM-m30"),
        ("tm t20iii", "TM-T20III"),
        ("USB Printing Support", ""),
        ("", ""),
    ],
)
def test_the_profile_is_the_longest_that_the_printers_own_name_holds(name, model):
    assert finding.fitting_model(name) == model


def test_a_serial_port_is_named_by_what_stays_the_same_from_boot_to_boot(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "list_usb", list)
    (tmp_path / "usb-FTDI_FT232R_A1-if00-port0").touch()
    (found,) = finding.find_local(tmp_path)
    assert (found.kind, found.device) == ("serial", f"serial://{tmp_path}/usb-FTDI_FT232R_A1-if00-port0")


def test_a_usb_printer_is_named_so_that_the_settings_understand_it(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "list_usb", lambda: [UsbPrinter(0x04B8, 0x0E15, "SN1", "EPSON", "TM-T20II")])
    (found,) = finding.find_local(tmp_path / "none")
    assert (found.device, found.model) == ("usb:04b8:0e15:SN1", "TM-T20II")


async def test_at_the_named_addresses_printers_are_found_and_sent_nothing():
    async with ConfirmingPrinter() as machine:
        found = await finding.find_at(["127.0.0.1", "127.0.0.2"], machine.port)
        assert [one.device for one in found] == [machine.device]
        assert machine.received == b""


@pytest.mark.parametrize("address", ["10.0.0.0/24", "10.0.0.*", "10.0.0.1,10.0.0.2", ""])
async def test_a_network_is_not_scanned(address):
    with pytest.raises(SettingsError, match="not one address"):
        await finding.find_at([address])


async def test_a_long_list_of_addresses_is_a_scan_too():
    with pytest.raises(SettingsError, match="too many"):
        await finding.find_at(["192.0.2.1"] * 33)
