"""A multipart body (RFC 2046 section 5.1), cut into its parts as it arrives; no part is kept.

Not MIME: what stands in a part's headers is skipped. Whoever asks knows what is in a part by looking at it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import TypeAlias

from appliance.errors import FormatError

BOUNDARY_MAX = 200  # characters; RFC 2046 section 5.1.1 allows 70, and Orthanc writes 73
HEADERS_BYTES_MAX = 8 << 10  # of one part; real ones have 100 bytes
PADDING_MAX = 64  # spaces and tabs behind a boundary; nobody writes any
HINT = "Compare the body with its Content-Type: each part begins with --BOUNDARY, the last one ends with --BOUNDARY--."
_LINE_END, _HEADERS_END = b"\r\n", b"\r\n\r\n"


class Edge(Enum):
    BEGUN = auto()
    ENDED = auto()


Event: TypeAlias = Edge | memoryview  # some of the part that has begun; gone with the next event


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    PART = auto()
    EPILOGUE = auto()


class _After(Enum):
    """What a boundary turns out to be by what follows it."""

    NEXT = auto()
    LAST = auto()
    NONE = auto()  # it is longer, so it is another: bytes of the part
    UNKNOWN = auto()  # more has to come


class MultipartReader:
    def __init__(self, boundary: bytes) -> None:
        if not 1 <= len(boundary) <= BOUNDARY_MAX:
            raise FormatError("the body's media type names no boundary, or too long a one", hint=HINT)
        self._delimiter = b"\r\n--" + boundary
        self._held = _LINE_END  # as if one stood before the body, which may begin with its first boundary
        self._state = _State.PREAMBLE

    def receive(self, data: bytes) -> Iterator[Event]:
        """FormatError for what is no multipart body. All events have to be taken before the next call."""
        data, self._held = self._held + data if self._held else data, b""
        at = 0
        while at < len(data) and self._state is not _State.EPILOGUE:
            if self._state is _State.HEADERS:
                end = _headers_end(data, at)
                if end < 0:
                    self._held = data[at:]
                    return
                self._state, at = _State.PART, end
                yield Edge.BEGUN
                continue
            inside, end = self._state is _State.PART, self._find_end(data, at)
            if inside and end > at:
                yield memoryview(data)[at:end]
            behind = end + len(self._delimiter)
            after = _after(data[behind : behind + PADDING_MAX + 2])
            if after is _After.UNKNOWN:
                self._held = data[end:]
                return
            at = behind
            if after is _After.NONE:
                if inside:
                    yield memoryview(data)[end:behind]
                continue
            if inside:
                yield Edge.ENDED
            self._state = _State.EPILOGUE if after is _After.LAST else _State.HEADERS

    def finish(self) -> tuple[Event, ...]:
        """The body is over: nothing more comes. FormatError when it breaks off before its last boundary."""
        if self._state is not _State.EPILOGUE:
            raise FormatError("the multipart body breaks off before its last boundary", hint=HINT)
        return ()

    def _find_end(self, data: bytes, at: int) -> int:
        """Where a boundary begins, or may begin; the end of `data` where none does."""
        found = data.find(self._delimiter, at)
        start = max(at, len(data) - len(self._delimiter) + 1)
        while found < 0:
            start = data.find(b"\r", start)
            if start < 0:
                return len(data)
            if self._delimiter.startswith(data[start:]):
                return start
            start += 1
        return found


def _headers_end(data: bytes, at: int) -> int:
    """Where the part itself begins, from behind its boundary; -1 when its headers are not all here."""
    at = data.find(_LINE_END, at)  # a part without headers has an empty line only
    end = data.find(_HEADERS_END, at, at + HEADERS_BYTES_MAX)
    if end < 0 and len(data) - at >= HEADERS_BYTES_MAX:
        raise FormatError("the headers of a part are too long", hint=HINT)
    return end + len(_HEADERS_END) if end >= 0 else end


def _after(rest: bytes) -> _After:
    line = rest.lstrip(b" \t")
    if rest.startswith(b"--"):
        return _After.LAST
    if line.startswith(_LINE_END):
        return _After.NEXT
    cut_short = line in (b"", b"\r") or rest == b"-"
    return _After.UNKNOWN if cut_short and len(rest) < PADDING_MAX + 2 else _After.NONE
