"""A box whose settings name DICOMweb senders: their tokens, and what the box and its commands say of them."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from tests.certificates import Authority, Pair
from tests.system.dicomweb import Sender, make_token, sender_to, settings
from tests.system.harness import Box

ADDRESS = '"127.0.0.1:0"'


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "box", "none", extra=settings("RIS", "PORTAL"))


def with_tls(box: Box, pair: Pair) -> None:
    """On all addresses, as in a hospital."""
    said = f'["0.0.0.0:0"]\ncertificate_file = "{pair.certificate}"\nkey_file = "{pair.key}"'
    box.extra = box.extra.replace(f"[{ADDRESS}]", said)


def test_a_token_is_shown_once_and_kept_as_its_hash(box: Box) -> None:
    token = make_token(box, "RIS")
    assert len(token) == 43, "256 bits"
    path = box.spool / "dicomweb.RIS"
    assert path.read_text() == f"{hashlib.sha256(token.encode()).hexdigest()}  -\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert make_token(box, "RIS") != token


def test_a_token_may_be_kept_where_the_settings_say(box: Box, tmp_path: Path) -> None:
    box.extra = box.extra.replace('name = "RIS"', f'name = "RIS"\ntoken_file = "{tmp_path}/ris"')
    token = make_token(box, "RIS")
    assert (tmp_path / "ris").read_text().startswith(hashlib.sha256(token.encode()).hexdigest())


def test_nobody_gets_a_token_whom_the_settings_do_not_name(box: Box) -> None:
    make_token(box, "RIS")
    done = box.command("peers", "token", "WHO", check=False)
    assert done.returncode == 1
    assert "no [[dicomweb.client]] has the name WHO" in done.stderr


@pytest.mark.parametrize("content", [None, b"", b"not a hash\n"])
def test_a_sender_without_its_token_is_refused_and_keeps_nobody_else_out(
    box: Box, tmp_path: Path, content: bytes | None
) -> None:
    token = make_token(box, "RIS")
    if content is not None:
        (box.spool / "dicomweb.PORTAL").write_bytes(content)
    image = tmp_path / "image.dcm"
    image.write_bytes(b"no image")
    box.start()
    try:
        assert sender_to(box, token).curl([image])[0] == 409
        assert sender_to(box, "any").curl([image])[0] == 401
        said = box.command("status", check=False).stdout
        assert box.program is not None
        log = box.program.log.read_text()
    finally:
        box.stop()
    assert "Refused over DICOMweb, as the token cannot be read: PORTAL." in said
    assert "slipway peers token NAME" in said
    assert log.count("PORTAL cannot send over DICOMweb") == 1
    assert "slipway peers token PORTAL" in log


def test_a_new_token_ends_the_one_before_and_https_is_what_the_hospital_sees(box: Box, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    with_tls(box, authority.issue("box"))
    make_token(box, "PORTAL")
    old, new = make_token(box, "RIS"), make_token(box, "RIS")
    box.start()
    try:
        assert box.program is not None
        port = box.program.said(r"listening for DICOMweb on 0\.0\.0\.0:(\d+) \(TLS\)")[1]
        url, trust = f"https://127.0.0.1:{port}/dicom-web/SHARE", ("--cacert", str(authority.file))
        image = tmp_path / "image.dcm"
        image.write_bytes(b"no image")
        assert Sender(url, old).curl([image], *trust)[0] == 401
        assert Sender(url, new).curl([image], *trust)[0] == 409
        assert f"0.0.0.0:{port} (DICOMweb, TLS)" in box.ask("status")["listening"]
        (finding,) = [one for one in box.ask("doctor") if one["name"] == "tls"]
        assert finding["level"] == "ok"
    finally:
        box.stop()
    assert not any(token in box.program.log.read_text() for token in (old, new))
