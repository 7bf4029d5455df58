"""The body of a STOW-RS request as a target of fuzzing: its parts, and the head of the file in each."""

from __future__ import annotations

from appliance.errors import FormatError
from appliance.formats.multipart import HEADERS_BYTES_MAX, Edge, MultipartReader
from appliance.formats.part10_reader import HEAD_BYTES_MAX, FileMeta, Part10Reader

BOUNDARY = b"fuzz"


def web_body(data: bytes) -> bool:
    """In pieces of 1 + the first byte, and at once: both say the same."""
    step, body = 1 + data[0] if data else 1, data[1:]
    by_pieces = _parts([body[at : at + step] for at in range(0, len(body), step)])
    assert by_pieces == _parts([body])
    files, whole = by_pieces
    heads = [_head(content, step) for content in files]
    assert heads == [_head(content, len(content)) for content in files]
    return whole and any(heads)


def _parts(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    """Parts that ended, and whether the body did."""
    reader, found, inside = MultipartReader(BOUNDARY), [b""], False
    try:
        for piece in pieces:
            for event in reader.receive(piece):
                assert inside is (event is not Edge.BEGUN), "edges come by turns, and bytes between them"
                if isinstance(event, memoryview):
                    found[-1] += event
                elif event is Edge.ENDED:
                    found.append(b"")
                inside = event is not Edge.ENDED
            assert len(reader._held) <= 2 * HEADERS_BYTES_MAX + len(piece)
        reader.finish()
    except FormatError:
        return found[:-1], False
    return found[:-1], True


def _head(content: bytes, step: int) -> tuple[FileMeta, bytes] | None:
    """And its dataset."""
    reader, dataset = Part10Reader(), b""
    try:
        for at in range(0, len(content), step):
            piece = memoryview(content)[at : at + step]
            dataset += piece if reader.meta else reader.receive(piece)
            assert len(reader._held) <= HEAD_BYTES_MAX
    except FormatError:
        return None
    assert not dataset or content.endswith(dataset), "a dataset is what stands at the end, unchanged"
    return (reader.meta, dataset) if reader.meta else None
