"""DICOM over TLS (PS3.15 B.12, "BCP 195"): the box's certificate, and the handshake before an association.

Each connection shakes hands by itself and within `Limits.handshake_s`; until then it counts as one that has said
nothing. TLS towards the vault is `tls`.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from appliance.adapters.association import RECEPTION, Association, Guests, Limits
from appliance.errors import CertificateWrongError, ProtocolError, SettingsError
from appliance.ports import Reception, Services, Spool

# RFC 9325 section 4.2, in our order; without DHE, which it no longer recommends. TLS 1.3 has its own, all AEAD.
SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
SECTION = "[[dicom.tls]]"
AS_SERVICE = "Let the service read it: chown root:slipway FILE; chmod 640 FILE."

HINTS = {  # by OpenSSL's reason
    "CERTIFICATE_VERIFY_FAILED": "Have the sender's certificate renewed, or signed by an authority in client_ca_file.",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": 'Give the sender a certificate, or set client_certificate = "optional".',
    "UNSUPPORTED_PROTOCOL": "The sender knows TLS 1.0 or 1.1 only; it needs 1.2 or 1.3.",
    "NO_SHARED_CIPHER": "The sender offers no cipher suite that is safe today (PS3.15 B.12); update its settings.",
    "WRONG_VERSION_NUMBER": "The sender does not speak TLS: switch TLS on there, or have it call the plain port.",
    "TLSV1_ALERT_UNKNOWN_CA": "The sender does not trust this box's certificate: give it the authority's certificate.",
}
ABOUT_CERTIFICATES = ("CERTIFICATE_VERIFY_FAILED", "PEER_DID_NOT_RETURN_A_CERTIFICATE")


def server_context(
    certificate_file: str,
    key_file: str,
    client_ca_file: str = "",
    client_certificate: Literal["none", "optional", "required"] = "none",
    section: str = SECTION,
) -> ssl.SSLContext:
    """SettingsError that names the file which cannot be used, by its key in `section`, and what to do about it."""
    _check_pair(certificate_file, key_file, section)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_NO_TICKET  # each association shows its certificate anew
    context.num_tickets = 0
    try:
        context.load_cert_chain(certificate_file, key_file)
    except OSError as error:  # ssl.SSLError is one
        hint = "Use a key of 2048 bits (RSA) or 256 bits (EC) at least, and SHA-256 or better."
        raise SettingsError(f"{section} certificate_file {certificate_file}: {_why(error)}", hint=hint) from error
    if client_ca_file:
        certificates(client_ca_file, "client_ca_file", section)
        context.load_verify_locations(client_ca_file)
    context.verify_mode = VERIFY[client_certificate]
    return context


def certificates(path: str, key: str, section: str = SECTION) -> list[x509.Certificate]:
    """All of a PEM file, the box's own first. SettingsError when there is none."""
    try:
        return x509.load_pem_x509_certificates(_read(path, key, section))
    except ValueError as error:
        hint = "Use a PEM file: -----BEGIN CERTIFICATE-----, the box's own first, then what signed it."
        raise SettingsError(f"{section} {key} {path} holds no certificate in PEM", hint=hint) from error


def expiries(path: str, key: str, section: str = SECTION) -> list[datetime]:
    return [certificate.not_valid_after_utc for certificate in certificates(path, key, section)]


def _check_pair(certificate_file: str, key_file: str, section: str) -> None:
    certificate = certificates(certificate_file, "certificate_file", section)[0]
    secret = _read(key_file, "key_file", section)
    try:
        key = load_pem_private_key(secret, password=None)
    except TypeError as error:  # OpenSSL would ask the terminal
        hint = f"Take the password off: openssl pkey -in {key_file} -out NEW; then chmod 640 NEW."
        raise SettingsError(f"{section} key_file {key_file} is locked with a password", hint=hint) from error
    except ValueError as error:
        hint = "Use a PEM file: -----BEGIN PRIVATE KEY-----."
        raise SettingsError(f"{section} key_file {key_file} holds no private key in PEM", hint=hint) from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        raise SettingsError(
            f"{section} key_file {key_file} is not the key of certificate_file {certificate_file}",
            hint="Use the key with which the certificate was requested; the box's certificate comes first in its file.",
        )


def _read(path: str, key: str, section: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        hint = AS_SERVICE if isinstance(error, PermissionError) else "Put the file there, or correct the settings."
        raise SettingsError(f"{section} {key} {path} cannot be read: {error.strerror}", hint=hint) from error


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return (reason or "the connection broke").replace("_", " ").lower()


class TlsAssociation(Association):
    """An association whose transport is replaced by one over TLS before anything else is said."""

    def __init__(
        self,
        spool: Spool,
        reception: Reception,
        services: Services | None,
        clock: Callable[[], float],
        limits: Limits,
        guests: Guests,
        context: ssl.SSLContext,
    ) -> None:
        super().__init__(spool, reception, services, clock, limits, guests)
        self._context = context
        self._shaking: asyncio.Task[None] | None = None
        self._early = bytearray()  # came with the handshake's end, before its transport was at hand

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._raw = self._transport
        self._shaking = self._loop.create_task(self._shake_hands())

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._transport = self._raw  # the secured one holds us, and 0.5 MiB would wait for the collector

    def buffer_updated(self, nbytes: int) -> None:
        if self._shaking is None:
            super().buffer_updated(nbytes)
        else:
            self._early += RECEPTION[:nbytes]

    async def _shake_hands(self) -> None:
        if self._raw.is_closing():
            return  # made room for another; asyncio tells that it has left
        try:
            secured = await self._loop.start_tls(
                self._raw,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._limits.handshake_s,
                ssl_shutdown_timeout=self._limits.close_s,
            )
        except OSError as error:  # ssl.SSLError, a reset and the time-out are
            self._complain(error)
            error.__traceback__ = None  # it holds the frame that holds the error: 0.3 MiB for the collector, each
            secured = None
        if secured is None:
            self.connection_lost(None)  # asyncio does not tell it of connections that end amid the handshake
            return
        self._transport = secured
        shown = secured.get_extra_info("ssl_object").getpeercert(binary_form=True)
        self._certificate = hashlib.sha256(shown).hexdigest() if shown else ""
        self._shaking = None
        early, self._early = self._early, bytearray()
        if early:
            self._received(memoryview(early))

    def _complain(self, error: OSError) -> None:
        if isinstance(error, ssl.SSLError):  # who only hangs up or says nothing is no news
            hint = HINTS.get(error.reason or "", "Compare the TLS settings of the sender with docs/dicom-tls.md.")
            complaint = CertificateWrongError if error.reason in ABOUT_CERTIFICATES else ProtocolError
            self._reception.complained(self._address, complaint(f"no TLS handshake: {_why(error)}", hint=hint))
