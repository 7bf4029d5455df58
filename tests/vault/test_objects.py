from __future__ import annotations

import os
from pathlib import Path

import pytest

from vault.errors import ObjectUnknownError, UnavailableError
from vault.objects import WRITE_BYTES, FolderObjects
from vault.ports import ObjectName

NAME = ObjectName(b"s" * 16, "object", 3, b"d" * 32)


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "objects")


def files(objects: FolderObjects) -> list[Path]:
    return [path for path in objects._shares.parent.rglob("*") if path.is_file()]


async def store(objects: FolderObjects, name: ObjectName, content: bytes) -> None:
    upload = await objects.begin()
    try:
        await upload.write(content)
        await upload.keep(name)
    finally:
        await upload.discard()


async def read(objects: FolderObjects, name: ObjectName, start: int = 0) -> bytes:
    reading = await objects.open(name, start)
    try:
        return await reading.read(1 << 30)
    finally:
        await reading.close()


async def test_what_was_kept_can_be_read_from_any_byte(objects: FolderObjects) -> None:
    content = os.urandom(2 * WRITE_BYTES + 5)
    await store(objects, NAME, content)
    assert await read(objects, NAME) == content
    assert await read(objects, NAME, 2 * WRITE_BYTES) == content[-5:]


async def test_until_it_is_kept_nothing_is_visible(objects: FolderObjects) -> None:
    upload = await objects.begin()
    await upload.write(bytes(WRITE_BYTES))
    with pytest.raises(ObjectUnknownError):
        await objects.open(NAME, 0)
    await upload.discard()
    assert files(objects) == []


async def test_keeping_never_overwrites(objects: FolderObjects) -> None:
    await store(objects, NAME, b"first")
    await store(objects, NAME, b"second")
    assert await read(objects, NAME) == b"first"
    assert len(files(objects)) == 1


async def test_what_a_crash_left_half_written_is_removed_at_the_next_start(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path)
    upload = await objects.begin()
    await upload.write(bytes(WRITE_BYTES))
    again = FolderObjects(tmp_path)
    assert files(again) == []
    await upload.discard()


async def test_a_reading_outlives_the_deletion(objects: FolderObjects) -> None:
    await store(objects, NAME, b"content")
    reading = await objects.open(NAME, 0)
    await objects.delete(NAME)
    assert await reading.read(100) == b"content"
    await reading.close()


async def test_deleting_a_share_leaves_no_file_and_may_be_repeated(objects: FolderObjects) -> None:
    await store(objects, NAME, b"content")
    await objects.delete_share(NAME.share_id)
    await objects.delete_share(NAME.share_id)
    assert files(objects) == []


async def test_folders_and_files_are_for_the_service_alone(objects: FolderObjects) -> None:
    await store(objects, NAME, b"content")
    everything = [objects._shares.parent, *objects._shares.parent.rglob("*")]
    assert not [path for path in everything if path.stat().st_mode & 0o077]


async def test_bytes_folder_and_new_folders_are_synced_before_keep_returns(
    objects: FolderObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    await store(objects, NAME, b"content")
    share = NAME.share_id.hex()
    assert synced[1:] == [share, share[:2], "shares"]


async def test_after_a_failed_sync_nothing_is_kept(objects: FolderObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(UnavailableError):
        await store(objects, NAME, b"content")
    monkeypatch.undo()
    with pytest.raises(ObjectUnknownError):
        await objects.open(NAME, 0)
