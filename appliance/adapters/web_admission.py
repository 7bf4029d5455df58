"""Which DICOMweb requests are let in: by token, address, profile and headers, before one byte of the body is read."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

from aiohttp import web

from appliance.adapters.stow import Cutter, WholeBody
from appliance.errors import FormatError, ProtocolError, SlipwayError, TokenWrongError
from appliance.formats.multipart import MultipartReader
from appliance.formats.store_report import MEDIA_TYPE
from appliance.ports import Peer, Reception

PREFIX = "dicom-web"
AN_HOUR_S = 3600.0
WRONG_TOKENS = 5  # of an address in an hour, before it is an alert and each more is answered late
ADDRESSES_REMEMBERED = 1000  # of those with wrong tokens; beyond this the longest silent one is forgotten
ACCEPTABLE = (MEDIA_TYPE, "application/json", "application/*", "*/*")  # one of them, of what a client accepts
ACCEPT_CHARACTERS_MAX = 8 << 10  # what stands behind is not looked at; a browser writes a hundred
UID_CHARACTERS_MAX = 64

_PARAMETER = re.compile(r';\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))')  # RFC 9110 section 5.6.6
_ESCAPED = re.compile(r"\\(.)")

TOKEN_HINT = "Compare the sender's token with what `slipway peers token NAME` printed."  # noqa: S105 - a sentence
WHOLE_HINT = "Send DICOM files in a multipart/related body; docs/dicomweb.md has an example."


@dataclass(frozen=True)
class Client:
    """Somebody with a token."""

    name: str  # stands for the calling AE title
    token_sha256: bytes
    profiles: frozenset[str]
    is_at: Callable[[str], bool]  # whether it may call from that address


class WebError(SlipwayError):
    """What a request is answered instead of being carried out."""

    def __init__(self, status: HTTPStatus, summary: str, hint: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(summary, hint=hint)
        self.status = status
        self.code = status.name.lower()
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Admitted:
    """A request that is let in, before its body."""

    peer: Peer
    study_uid: str  # "" is any
    cutter: Cutter


class Admission:
    def __init__(
        self, clients: Sequence[Client], profiles: Collection[str], reception: Reception, late_s: float
    ) -> None:
        """`profiles`: the AE titles that the box answers to. `late_s`: how late many wrong tokens are answered."""
        self._clients = clients
        self._profiles = profiles
        self._reception = reception
        self._late_s = late_s
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # address -> how many, since when

    async def admit(self, request: web.BaseRequest) -> Admitted:
        """WebError. The token comes first: a stranger learns nothing else."""
        client = await self._client(request)
        ae_title, study_uid = _target(request)
        if ae_title not in self._profiles:
            raise WebError(
                HTTPStatus.NOT_FOUND, "there is no such profile", "The address names the ae_title of a [[profile]]."
            )
        if ae_title not in client.profiles:
            summary = f"{client.name} may not send to this profile"
            raise WebError(HTTPStatus.FORBIDDEN, summary, "Compare profiles in its [[dicomweb.client]].")
        _check_headers(request)
        return Admitted(Peer(client.name, ae_title, str(request.remote)), study_uid, _cutter(request))

    async def _client(self, request: web.BaseRequest) -> Client:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        # What is no UTF-8 came as surrogates, and goes back to the bytes that it was.
        shown = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found = [client for client in self._clients if hmac.compare_digest(shown, client.token_sha256)]
        address = str(request.remote)
        if not found or scheme.lower() != "bearer":
            await self._take_note(address, shown=bool(token))
            raise WebError(
                HTTPStatus.UNAUTHORIZED,
                "there is no token in this request, or one that the box does not know",
                "Send the header: Authorization: Bearer TOKEN. A new token: slipway peers token NAME.",
                {"WWW-Authenticate": 'Bearer realm="slipway"'},
            )
        if not found[0].is_at(address):
            summary = f"the token of {found[0].name} was used at an address that is not its own"
            raise WebError(HTTPStatus.FORBIDDEN, summary, "Compare address in its [[dicomweb.client]].")
        return found[0]

    async def _take_note(self, address: str, *, shown: bool) -> None:
        now = asyncio.get_running_loop().time()
        count, since = self._wrong.pop(address, (0, now))
        count, since = (1, now) if now - since > AN_HOUR_S else (count + 1, since)
        self._wrong[address] = (count, since)
        if len(self._wrong) > ADDRESSES_REMEMBERED:
            self._wrong.popitem(last=False)
        what = "a DICOMweb request with a wrong token" if shown else "a DICOMweb request without a token"
        if count < WRONG_TOKENS:
            self._reception.complained(address, ProtocolError(what, hint=TOKEN_HINT))
        elif count == WRONG_TOKENS:
            self._reception.complained(address, TokenWrongError(f"{count} times {what}"))
        else:
            await asyncio.sleep(self._late_s)


def _target(request: web.BaseRequest) -> tuple[str, str]:
    """AE title and Study Instance UID, "" where none is named."""
    parts = [unquote(part) for part in request.rel_url.raw_path.strip("/").split("/")]
    if not (3 <= len(parts) <= 4 and parts[0] == PREFIX and parts[2] == "studies"):
        raise WebError(HTTPStatus.NOT_FOUND, "there is nothing at this address", f"POST to /{PREFIX}/AE-TITLE/studies.")
    if request.method != "POST":
        raise WebError(
            HTTPStatus.METHOD_NOT_ALLOWED, "images can be sent here, and nothing else", "Use POST.", {"Allow": "POST"}
        )
    study_uid = parts[3] if len(parts) == 4 else ""
    if len(study_uid) > UID_CHARACTERS_MAX or study_uid.strip("0123456789."):
        raise WebError(HTTPStatus.BAD_REQUEST, "the address holds no valid Study Instance UID", "Compare the address.")
    return parts[1], study_uid


def _check_headers(request: web.BaseRequest) -> None:
    if request.headers.get("Expect", "100-continue").lower() != "100-continue":
        raise WebError(HTTPStatus.EXPECTATION_FAILED, "only Expect: 100-continue is known", "Leave it out.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise WebError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding is not accepted", "Send the bytes as they are."
        )
    # A known sender may write a MiB of these, and all others wait while they are read.
    lines = ",".join(request.headers.getall("Accept", []))[:ACCEPT_CHARACTERS_MAX]
    accepted = [one.partition(";")[0].strip().lower() for one in lines.split(",")]
    if lines and not any(one in ACCEPTABLE for one in accepted):
        raise WebError(
            HTTPStatus.NOT_ACCEPTABLE, f"answers are {MEDIA_TYPE} only", f"Send the header: Accept: {MEDIA_TYPE}."
        )


def _cutter(request: web.BaseRequest) -> Cutter:
    """By the media type; what is in a part is told by its bytes."""
    kind, parameters = _media_type(request.headers.get("Content-Type", ""))
    if kind == "application/dicom":
        return WholeBody()
    if kind != "multipart/related" or parameters.get("type", "application/dicom").lower() != "application/dicom":
        raise WebError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "the body is of no media type that the box takes: whole DICOM files, not metadata with bulk data",
            'Send the header: Content-Type: multipart/related; type="application/dicom"; boundary=BOUNDARY',
        )
    try:
        return MultipartReader(parameters.get("boundary", "").encode("latin_1", "replace"))
    except FormatError as error:
        raise WebError(HTTPStatus.BAD_REQUEST, error.summary, error.hint) from error


def _media_type(value: str) -> tuple[str, dict[str, str]]:
    """In small letters, and its parameters without quotes; a slash in one without quotes is taken too.

    Not by Python's email package: it raises on parameters in numbered parts, and takes its time over quotes.
    """
    kind, semicolon, rest = value.partition(";")
    found = _PARAMETER.findall(semicolon + rest)
    texts = ((name, _ESCAPED.sub(r"\1", quoted) or plain.strip()) for name, quoted, plain in found)
    return kind.strip().lower(), {name.lower(): text for name, text in texts}
