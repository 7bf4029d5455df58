"""Secrets on the disk: made once, read strictly, never lost silently."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from appliance.adapters import system
from appliance.errors import SettingsError, SlipwayError


def test_the_spool_key_is_made_once_and_kept(tmp_path: Path) -> None:
    first = system.load_spool_key(tmp_path / "new", "")
    assert system.load_spool_key(tmp_path / "new", "") == first
    assert len(first) == 32
    path = tmp_path / "new" / "spool.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["spool.key"]


def test_two_boxes_have_two_keys(tmp_path: Path) -> None:
    assert system.load_spool_key(tmp_path / "a", "") != system.load_spool_key(tmp_path / "b", "")


def test_the_settings_file_of_a_key_comes_first(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"k" * 32)
    assert system.load_spool_key(tmp_path / "box", str(tmp_path / "key")) == b"k" * 32


def test_systemds_credential_comes_before_a_key_beside_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spool.key").write_bytes(b"c" * 32)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert system.load_spool_key(tmp_path / "box", "") == b"c" * 32


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_key_of_the_wrong_length_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "spool.key").write_bytes(content)
    with pytest.raises(SettingsError, match="32 bytes"):
        system.load_spool_key(tmp_path, "")


def test_a_lost_key_is_never_replaced_while_there_is_something_to_open(tmp_path: Path) -> None:
    """A new one would open nothing, and the box would stumble over its own journal for ever."""
    (tmp_path / "journal.db").write_bytes(b"sealed under the lost key")
    with pytest.raises(SettingsError, match="is gone"):
        system.load_spool_key(tmp_path, "")
    assert not (tmp_path / "spool.key").exists()


def test_a_folder_that_cannot_be_made_is_an_error_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SlipwayError, match="cannot be written"):
        system.write_secret(tmp_path / "file" / "secret", b"x")


def test_a_secret_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    system.write_secret(path, b"old" * 1000)
    (tmp_path / "secret.new").write_bytes(b"left by a crash")
    system.write_secret(path, b"new")
    assert path.read_bytes() == b"new"
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    system.write_secret(tmp_path / "secret", b"x")
    assert (tmp_path / "secret").stat().st_uid == 65534


def test_core_dumps_are_forbidden() -> None:
    import subprocess
    import sys

    program = (
        "from appliance.adapters import system; import resource; system.forbid_core_dumps();"
        "print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"(0, 0)\n"


@pytest.mark.parametrize(("microseconds", "wanted"), [("30000000", 15.0), ("", None)])
def test_the_watchdog_is_told_twice_in_its_time(
    monkeypatch: pytest.MonkeyPatch, microseconds: str, wanted: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    assert system.watchdog_interval_s() == wanted


def test_how_full_the_disk_is_is_what_df_says(tmp_path: Path) -> None:
    done = subprocess.run(["df", "--output=pcent", tmp_path], capture_output=True, text=True, check=True)
    said = int(done.stdout.split()[-1].rstrip("%"))
    assert abs(system.filled(tmp_path) * 100 - said) <= 2  # df rounds up, and others write meanwhile
