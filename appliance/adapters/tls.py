"""TLS towards the vault: whom to trust, and who stands in between when trust fails."""

from __future__ import annotations

import asyncio
import ssl

from cryptography import x509

from appliance.errors import SettingsError


def trust(ca_file: str) -> ssl.SSLContext:
    """The system's authorities and, where a hospital inspects TLS, its own. SettingsError for a file that is no CA."""
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(f"[vault] ca_file {ca_file} cannot be used: {error.strerror or error}") from error
    return context


async def issuer_at(host: str, port: int, within_s: float) -> str:
    """Who issued the certificate that is shown there, or "" when it does not come to that. Not a byte is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # to look at the certificate that was just found wanting, and hang up
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError):
        return ""
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(shown).issuer.rfc4514_string()
    except ValueError:
        return "an authority with an unreadable name"
    finally:
        writer.transport.abort()
