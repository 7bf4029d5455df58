"""What the machine says of itself."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from appliance.adapters import machine


def test_every_address_is_one_that_others_can_call():
    for address in machine.addresses():
        parsed = ipaddress.ip_address(address)
        assert not parsed.is_loopback
        assert not parsed.is_link_local
        with socket.socket(socket.AF_INET if parsed.version == 4 else socket.AF_INET6) as own:
            own.bind((address, 0))  # the kernel's word that it is ours


def test_the_fingerprint_is_what_ssh_shows(tmp_path):
    """Both as ssh-keygen of OpenSSH 9.2 made and showed them."""
    path = tmp_path / "key.pub"
    path.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFjNn0WSgBu1QIaFJ5VSRDNbkzY+ym9JlCT4H308Hbc+ root@box\n")
    assert machine.host_key_fingerprint(path) == "SHA256:vgL/PSOYE1lOg9G+4QHue9XjwOIkB7DqRvoXdqovX5M"


@pytest.mark.parametrize("content", [None, "", "ssh-ed25519", "ssh-ed25519 no!base64"])
def test_without_a_key_there_is_no_fingerprint(tmp_path, content):
    path = tmp_path / "key.pub"
    if content is not None:
        path.write_text(content)
    assert machine.host_key_fingerprint(path) == ""


def test_the_time_servers_client_says_whether_the_clock_is_right(tmp_path):
    assert machine.clock_is_synchronised(tmp_path) is False
    (tmp_path / "synchronized").touch()
    assert machine.clock_is_synchronised(tmp_path) is True
    assert machine.clock_is_synchronised(tmp_path / "none") in (True, False, None)  # the kernel's own word
