"""A box whose settings name TLS listeners: what it and its commands say of them."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority, Pair
from tests.system.harness import Box, free_port


class TlsBox(Box):
    """Listens plain and with TLS."""

    tls: str

    def write_settings(self) -> None:
        super().write_settings()
        self.config.write_text(self.config.read_text() + self.tls)


def box_with(folder: Path, pair: Pair, port: int = 0) -> TlsBox:
    box = TlsBox(folder / "box", "none")
    box.tls = f"""
[[dicom.tls]]
listen = ["127.0.0.1:{port}"]
certificate_file = "{pair.certificate}"
key_file = "{pair.key}"
"""
    return box


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


def test_status_lists_the_listeners_with_tls_and_they_answer(tmp_path: Path, authority: Authority) -> None:
    port = free_port()
    box = box_with(tmp_path, authority.issue("box"), port)
    box.unknown_peers = "accept"
    box.start()
    try:
        assert box.ask("status")["listening"] == [f"127.0.0.1:{box.port}", f"127.0.0.1:{port} (TLS)"]
        assert f"127.0.0.1:{port} (TLS)" in box.command("status", check=False).stdout
        titles = ("-aet", "CT1", "-aec", "SHARE", "127.0.0.1")
        subprocess.run(["echoscu", "+tla", "+cf", authority.file, *titles, str(port)], check=True, timeout=20)
        subprocess.run(["echoscu", *titles, str(box.port)], check=True, timeout=20)
    finally:
        box.stop()


@pytest.mark.parametrize(("days", "level"), [(29, "notice"), (31, "ok"), (-1, "problem")])
def test_doctor_warns_30_days_before_a_certificate_expires(
    tmp_path: Path, authority: Authority, days: int, level: str
) -> None:
    pair = authority.issue("box", timedelta(days=days))
    box = box_with(tmp_path, pair)
    box.write_settings()
    (finding,) = [one for one in box.ask("doctor") if one["name"] == "tls"]
    assert finding["level"] == level
    assert (str(pair.certificate) in finding["what"]) == (level != "ok")
    assert bool(finding["do"]) == (level != "ok")


def test_a_box_with_the_wrong_key_does_not_start_and_says_which(tmp_path: Path, authority: Authority) -> None:
    pair, other = authority.issue("box"), authority.issue("other")
    box = box_with(tmp_path, Pair(pair.certificate, other.key, ""))
    box.write_settings()
    done: Any = box.command("run", check=False)
    assert done.returncode == 2
    assert f"key_file {other.key} is not the key of" in done.stderr
    assert "Traceback" not in done.stderr
    (finding,) = [
        one for one in json.loads(box.command("doctor", "--json", check=False).stdout) if one["name"] == "tls"
    ]
    assert finding["level"] == "problem"
