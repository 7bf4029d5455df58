"""The command as operators and systemd run it: real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.vault.conftest import Box, Served, b64u, enrolment, unb64u

COMMAND = [sys.executable, "-c", "from vault.cli import main; main()"]
PUBLIC_KEY = bytes(range(32))


@dataclass
class Operator:
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "vault.toml"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *words, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def facts(self, *words: str) -> dict[str, object]:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found

    @contextmanager
    def serving(self, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """The process and its URL."""
        command = [*COMMAND, "serve", "--config", str(self.config)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
            assert process.stderr is not None
            try:
                line = ""
                while not line.startswith("listening on "):
                    line = process.stderr.readline()
                    assert line, "the service ended"
                yield process, line.removeprefix("listening on ").strip()
            finally:
                process.kill()


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    (tmp_path / "vault.toml").write_text(
        f'[http]\nlisten = "127.0.0.1:0"\n'
        f'[database]\nurl = "sqlite://{tmp_path}/state/ledger.db"\n'
        f'[objects]\nurl = "file://{tmp_path}/objects"\n'
    )
    return Operator(tmp_path)


def post(url: str, members: dict[str, str]) -> dict[str, str]:
    request = urllib.request.Request(url, json.dumps(members).encode())
    with urllib.request.urlopen(request, timeout=10) as response:
        found: dict[str, str] = json.load(response)
    return found


def test_a_box_is_enrolled_listed_and_revoked_while_the_service_runs(operator: Operator) -> None:
    with operator.serving() as (_, url):
        code = str(operator.facts("enrol-code", "CT room")["code"]).replace("-", "")
        enrolled = post(f"{url}/device/v1/enrolments", enrolment(code, PUBLIC_KEY))
        listed = operator.facts("devices", "list")["devices"]
        assert isinstance(listed, list)
        assert [(device["name"], device["revoked_at"]) for device in listed] == [("CT room", None)]
        assert operator.facts("devices", "revoke", "CT room")["device_id"] == enrolled["device_id"]
        assert "revoked" in operator.run("devices", "list").stdout


def test_a_box_enrolled_anew_under_its_old_name_can_be_revoked_by_it(operator: Operator) -> None:
    with operator.serving() as (_, url):
        ids = []
        for _ in range(2):
            code = str(operator.facts("enrol-code", "CT room")["code"]).replace("-", "")
            ids.append(post(f"{url}/device/v1/enrolments", enrolment(code, PUBLIC_KEY))["device_id"])
            if len(ids) == 1:
                operator.facts("devices", "revoke", "CT room")
        assert operator.facts("devices", "revoke", "CT room")["device_id"] == ids[1]


def test_the_same_commands_work_while_no_service_runs(operator: Operator) -> None:
    assert operator.facts("migrate") == {"schema_version": 1}
    code = str(operator.facts("enrol-code", "CT room")["code"]).replace("-", "")
    assert operator.facts("sweep") == {"links_destroyed": 0, "shares_deleted": 0}
    with operator.serving() as (_, url):
        assert post(f"{url}/device/v1/enrolments", enrolment(code, PUBLIC_KEY))["device_id"]


def test_a_code_is_shown_in_four_groups_of_four(operator: Operator) -> None:
    shown = operator.run("enrol-code", "CT room").stdout.splitlines()[0]
    assert [len(group) for group in shown.split("-")] == [4, 4, 4, 4]
    assert not set(shown) & set("ILOU")


def test_sigterm_ends_the_service_within_5_s_even_with_a_connection_open(operator: Operator) -> None:
    with operator.serving() as (process, url):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\n")
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
    assert time.monotonic() - began < 5
    assert not list((operator.folder / "state").glob("*.sock"))


def test_after_a_kill_the_next_start_just_works(operator: Operator) -> None:
    with operator.serving() as (process, _):
        process.kill()
        process.wait(5)
    assert operator.facts("devices", "list") == {"devices": []}
    with operator.serving() as (_, url), urllib.request.urlopen(f"{url}/healthz", timeout=10) as response:
        assert response.status == 200


def test_two_services_on_one_ledger_are_refused(operator: Operator) -> None:
    with operator.serving():
        second = operator.run("serve")
    assert second.returncode == 1
    assert "lock" in second.stderr


def test_the_services_identity_outlives_a_restart_and_is_private(operator: Operator) -> None:
    keys = []
    for name in ("one", "two"):
        with operator.serving() as (_, url):
            code = str(operator.facts("enrol-code", name)["code"]).replace("-", "")
            keys.append(post(f"{url}/device/v1/enrolments", enrolment(code, PUBLIC_KEY))["vault_key"])
    assert keys[0] == keys[1]
    state = operator.folder / "state"
    assert not [path for path in state.iterdir() if path.stat().st_mode & 0o077]


def test_a_key_that_others_can_read_is_refused(operator: Operator) -> None:
    with operator.serving():
        pass
    key = operator.folder / "state" / "vault.key"
    key.chmod(0o644)
    done = operator.run("serve")
    assert (done.returncode, "chmod 600" in done.stderr) == (2, True)


def test_a_systemd_credential_wins_over_the_key_file(operator: Operator) -> None:
    (operator.folder / "vault.key").write_text(b64u(PUBLIC_KEY) + "\n")
    with operator.serving(CREDENTIALS_DIRECTORY=str(operator.folder)) as (_, url):
        code = str(operator.facts("enrol-code", "CT room")["code"]).replace("-", "")
        answer = post(f"{url}/device/v1/enrolments", enrolment(code, PUBLIC_KEY))
    expected = Ed25519PrivateKey.from_private_bytes(PUBLIC_KEY).public_key().public_bytes_raw()
    assert answer["vault_key"] == b64u(expected)
    assert not (operator.folder / "state" / "vault.key").exists()


def test_systemd_is_told_of_readiness_and_fed_its_watchdog(operator: Operator) -> None:
    path = operator.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(10)
        with operator.serving(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="200000") as (process, _):
            said = [listener.recv(100) for _ in range(3)]
            process.send_signal(signal.SIGTERM)
            while said[-1] != b"STOPPING=1":
                said.append(listener.recv(100))
            assert process.wait(5) == 0
    assert said[0] == b"READY=1"
    assert said[1:3] == [b"WATCHDOG=1"] * 2


@pytest.mark.parametrize(
    ("words", "status", "says", "hint"),
    [
        (("devices", "revoke", "nobody"), 1, "No devices", "devices list"),
        (("enrol-code", " "), 1, "printable", "For instance"),
        (("nonsense",), 2, "No such command", ""),
    ],
)
def test_each_error_says_what_is_wrong_and_what_to_do(
    operator: Operator, words: tuple[str, ...], status: int, says: str, hint: str
) -> None:
    done = operator.run(*words)
    assert done.returncode == status
    assert says in done.stderr
    assert hint in done.stderr


def test_wrong_settings_are_status_2_with_a_hint(operator: Operator) -> None:
    operator.config.write_text('[http]\nlisen = "x"\n')
    done = operator.run("sweep")
    assert done.returncode == 2
    assert "http.lisen" in done.stderr
    assert "Did you mean http.listen?" in done.stderr


def test_a_port_that_is_taken_is_named(operator: Operator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        operator.config.write_text(operator.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        done = operator.run("serve")
    assert done.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr


async def test_what_was_acknowledged_survives_a_kill(operator: Operator) -> None:
    with operator.serving() as (process, url):
        box = await _box(operator, url)
        async with box.served.session:
            share = await box.share()
            assert (await share.put(0, b"ciphertext")).status == 201
            link = await share.link()
            await link.open(bytes(32))
            process.kill()
            process.wait(5)
    with operator.serving() as (_, url):
        async with aiohttp.ClientSession() as session:
            box.served.url, box.served.session = url, session
            facts = await share.facts()
            assert facts["objects"] == [[0, 0]]
            assert facts["links"][0]["tries_left"] == 4
            assert (await link.served.ask("GET", "/api/v1/objects/0", headers=await link.token())).body == b"ciphertext"


async def _box(operator: Operator, url: str) -> Box:
    code = str(operator.facts("enrol-code", "CT room")["code"]).replace("-", "")
    key = Ed25519PrivateKey.generate()
    answer = post(f"{url}/device/v1/enrolments", enrolment(code, key.public_key().public_bytes_raw()))
    served = Served(cast("Any", None), cast("Any", WallClock()), url, aiohttp.ClientSession(), operator.folder)
    return Box(served, key, answer["device_id"], unb64u(answer["vault_key"]))


class WallClock:
    def now(self) -> float:
        return time.time()


@pytest.mark.parametrize("where", ["state", "objects"])
@pytest.mark.parametrize("command", ["serve", "sweep"])
def test_a_folder_that_cannot_be_used_is_named(operator: Operator, where: str, command: str) -> None:
    (operator.folder / where).write_text("a file is in the way")
    done = operator.run(command)
    assert done.returncode == 2
    assert f"Cannot write in {operator.folder / where}" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_service_says_nothing_about_requests(operator: Operator) -> None:
    with operator.serving() as (process, url):
        box = await _box(operator, url)
        async with box.served.session:
            link = await (await box.share()).link()
            for proof in (bytes(32), link.proof, bytes(31)):
                await link.open(proof)
            await link.served.ask("GET", "/api/v1/objects/0", headers=await link.token())
            await link.served.ask("GET", f"/{link.link_id}")
            host, port = url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as garbage:
                garbage.sendall(f"GET /{link.link_id} NONSENSE\r\n\r\n".encode())
                assert b"400" in garbage.recv(100)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_root_leaves_no_file_that_the_service_could_not_open() -> None:
    nobody = 65534
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("state", "objects"):
            (folder / part).mkdir()
            os.chown(folder / part, nobody, nobody)
        (folder / "vault.toml").write_text(
            f'[database]\nurl = "sqlite://{folder}/state/ledger.db"\n[objects]\nurl = "file://{folder}/objects"\n'
        )
        assert Operator(folder).facts("sweep") == {"links_destroyed": 0, "shares_deleted": 0}
        assert {path.stat().st_uid for path in (folder / "state").iterdir()} == {nobody}
        assert {path.stat().st_uid for path in (folder / "objects").iterdir()} == {nobody}
