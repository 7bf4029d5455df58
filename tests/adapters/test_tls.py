"""DICOM over TLS, over real sockets: whom the box shakes hands with, and that nobody waits for who does not."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

import pydicom
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pynetdicom import AE

from appliance.adapters.acceptor import Acceptor
from appliance.adapters.association import Limits
from appliance.adapters.dicom_tls import server_context
from appliance.adapters.pacs_checkpoint import steady
from appliance.adapters.spool import FileSpool
from appliance.daemon.peers import KnownPeer, Peers, UnknownPeers
from appliance.dicom.pdu import CALLING_AE_UNKNOWN, AssociateRequest, Rejection
from appliance.errors import SettingsError
from appliance.formats.sealed import Sealer
from tests.adapters.test_acceptor import Door, datasets, run
from tests.adapters.test_spool import KEY, noise
from tests.certificates import Authority, Pair
from tests.fakes.peers import LITTLE, AbortedError, OpenReception, RawPeer, RejectedError
from tests.synthetic import MR_SMALL, encode, header, part10, pixels

Asks = Literal["none", "optional", "required"]


@dataclass
class Hospital:
    ours: Authority
    theirs: Authority
    box: Pair
    modalities: dict[str, Pair]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("tls")
    ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
    modalities = {
        "right": ours.issue("right"),
        "other": ours.issue("other"),
        "wrong": theirs.issue("wrong"),
        "expired": ours.issue("expired", timedelta(days=-1)),
    }
    return Hospital(ours, theirs, ours.issue("box", is_rsa=True), modalities)


class ByPeers(OpenReception):
    """Asks the box's peers, where a test gives some."""

    peers: Peers | None = None

    def admit(self, request: AssociateRequest, address: str, certificate: str = "") -> Rejection | None:
        known = self.peers is None or self.peers.knows(request.calling_ae_title, address, certificate)
        return super().admit(request, address, certificate) if known else CALLING_AE_UNKNOWN


@dataclass
class Doors(Door):
    """One acceptor that listens twice."""

    reception: ByPeers
    tls_port: int


Open = Callable[..., AbstractAsyncContextManager[Doors]]


@pytest.fixture
def open_doors(tmp_path: Path, hospital: Hospital) -> Open:
    @asynccontextmanager
    async def make(asks: Asks = "none", limits: Limits | None = None) -> AsyncIterator[Doors]:
        reception = ByPeers()
        files = FileSpool(tmp_path / "spool", Sealer(KEY), reserve_bytes=0)
        files.start()
        acceptor = Acceptor(files, reception, time.time, limits)
        authority = "" if asks == "none" else str(hospital.ours.file)
        context = server_context(str(hospital.box.certificate), str(hospital.box.key), authority, asks)
        ((_, plain),) = await acceptor.listen((("127.0.0.1", 0),))
        ((_, secure),) = await acceptor.listen((("127.0.0.1", 0),), context)
        doors = Doors(plain, files, reception, acceptor, secure)
        try:
            yield doors
        finally:
            await acceptor.stop()
            await asyncio.to_thread(files.stop)
            acceptor.hang_up()
            await doors.until(lambda: not acceptor._inside and not acceptor._silent)

    return make


def trusting(hospital: Hospital, shows: str = "", version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A modality's settings."""
    context = ssl.create_default_context(cafile=str(hospital.ours.file))
    if shows:
        pair = hospital.modalities[shows]
        context.load_cert_chain(pair.certificate, pair.key)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def over(context: ssl.SSLContext) -> type[RawPeer]:
    class TlsPeer(RawPeer):
        @classmethod
        async def connect(cls, port: int, pdu: int = 16384, address: str = "127.0.0.1") -> Self:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=(address, 0))
            except OSError as error:  # ssl.SSLError is one
                raise AbortedError("no handshake") from error
            return cls(reader, writer, pdu)

    return TlsPeer


async def is_let_in(port: int, context: ssl.SSLContext) -> bool:
    try:
        async with await over(context).call(port) as peer:
            assert (await peer.echo()).status == 0
            await peer.release()
            return True
    except AbortedError:
        return False


async def test_the_handshakes_of_the_matrix(open_doors: Open, hospital: Hospital) -> None:
    """Certificate asked for x certificate shown x version: who gets in."""
    found = {}
    for asks in ("none", "optional", "required"):
        async with open_doors(asks) as doors:
            for shows in ("", "right", "wrong", "expired"):
                for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                    context = trusting(hospital, shows, version)
                    found[asks, shows, version.name] = await is_let_in(doors.tls_port, context)
    nobody_asks = {("none", shows) for shows in ("", "right", "wrong", "expired")}
    welcome = nobody_asks | {("optional", ""), ("optional", "right"), ("required", "right")}
    assert found == {key: key[:2] in welcome for key in found}
    assert len(found) == 24


async def test_the_certificate_that_was_shown_is_told_to_who_admits(open_doors: Open, hospital: Hospital) -> None:
    async with open_doors("optional") as doors:
        for shows in ("right", "other", ""):
            assert await is_let_in(doors.tls_port, trusting(hospital, shows))
        async with await RawPeer.call(doors.port) as plain:
            await plain.release()
        pairs = hospital.modalities
        assert doors.reception.certificates == [pairs["right"].sha256, pairs["other"].sha256, "", ""]


async def test_a_peer_with_a_certificate_is_known_by_that_one_only(open_doors: Open, hospital: Hospital) -> None:
    pairs = hospital.modalities
    peers = Peers([KnownPeer.of("CT1", "127.0.0.0/8", pairs["right"].sha256)], UnknownPeers.REFUSE)
    async with open_doors("optional") as doors:
        doors.reception.peers = peers
        assert await is_let_in(doors.tls_port, trusting(hospital, "right"))
        for shows in ("other", ""):
            with pytest.raises(RejectedError):
                await is_let_in(doors.tls_port, trusting(hospital, shows))
        with pytest.raises(RejectedError):
            await RawPeer.call(doors.port)


# -- versions and suites -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_store_is_bit_for_bit(open_doors: Open, hospital: Hospital, version: ssl.TLSVersion) -> None:
    data = noise(5_000_001)
    peer_of = over(trusting(hospital, version=version))
    async with open_doors() as doors, await peer_of.call(doors.tls_port, pdu=131072) as peer:
        assert peer.writer.get_extra_info("ssl_object").version() == version.name.replace("_", ".")
        assert (await peer.store(data)).status == 0
        await peer.release()
        assert doors.contents == [data]


async def test_tls_1_3_is_taken_where_the_sender_has_it(open_doors: Open, hospital: Hospital) -> None:
    async with open_doors() as doors, await over(trusting(hospital)).call(doors.tls_port) as peer:
        spoken = peer.writer.get_extra_info("ssl_object")
        assert (spoken.version(), spoken.compression()) == ("TLSv1.3", None)


async def test_the_box_chooses_the_suite(open_doors: Open, hospital: Hospital) -> None:
    context = trusting(hospital, version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384")
    async with open_doors() as doors, await over(context).call(doors.tls_port) as peer:
        assert peer.writer.get_extra_info("ssl_object").cipher()[0] == "ECDHE-RSA-AES256-GCM-SHA384"


OLD = {
    "TLS 1.0": (("-tls1", "-cipher", "ALL@SECLEVEL=0"), "unsupported protocol"),
    "TLS 1.1": (("-tls1_1", "-cipher", "ALL@SECLEVEL=0"), "unsupported protocol"),
    "NULL": (("-tls1_2", "-cipher", "ECDHE-RSA-NULL-SHA:NULL-SHA256:@SECLEVEL=0"), "no shared cipher"),
    "CBC": (("-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA"), "no shared cipher"),
    "without (EC)DHE": (("-tls1_2", "-cipher", "AES256-GCM-SHA384:AES128-GCM-SHA256"), "no shared cipher"),
    "CCM with 8 bytes": (("-tls1_2", "-cipher", "AES256-CCM8:@SECLEVEL=0"), "no shared cipher"),
}


async def openssl(port: int, *options: str) -> tuple[int | None, str]:
    child = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(child.communicate(), 20)
    return child.returncode, out.decode(errors="replace")


@pytest.mark.parametrize("what", OLD)
async def test_what_is_no_longer_safe_is_refused(open_doors: Open, what: str) -> None:
    options, reason = OLD[what]
    async with open_doors() as doors:
        status, said = await openssl(doors.tls_port, *options)
        assert status != 0, said
        await doors.until(lambda: doors.reception.complaints)
        assert reason in doors.reception.complaints[0].summary  # ours, not the sender's refusal
        assert doors.reception.complaints[0].hint


async def test_openssl_gets_in_with_what_is_safe(open_doors: Open) -> None:
    """So the refusals above are not the tool's."""
    async with open_doors() as doors:
        status, said = await openssl(doors.tls_port, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")
        assert status == 0, said
        assert "Compression: NONE" in said
        assert doors.reception.complaints == []


# -- other people's senders --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, written = tmp_path_factory.mktemp("part10"), []
    for number in range(1, 4):
        dataset = header(MR_SMALL, 7, 1, number)
        dataset.PixelData = pixels(MR_SMALL, number).tobytes()
        dataset["PixelData"].VR = "OW"
        written.append(folder / f"{number}.dcm")
        written[-1].write_bytes(part10(MR_SMALL.sop_class, dataset.SOPInstanceUID, LITTLE, encode(dataset)))
    return written


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
async def test_dcmtk_stores_bit_for_bit_with_a_certificate(
    open_doors: Open, hospital: Hospital, files: list[Path], profile: str
) -> None:
    pair = hospital.modalities["right"]
    tls = ("+tls", pair.key, pair.certificate, "+cf", hospital.ours.file, profile)
    titles = ("-aet", "CT1", "-aec", "SHARE", "127.0.0.1")
    async with open_doors("required") as doors:
        await run("echoscu", *tls, *titles, str(doors.tls_port))
        await run("storescu", "-xe", *tls, *titles, str(doors.tls_port), *files)
        assert set(doors.contents) == datasets(files)
        assert doors.reception.certificates == [pair.sha256] * 2


async def test_dcmtk_stores_bit_for_bit_without_a_certificate(
    open_doors: Open, hospital: Hospital, files: list[Path]
) -> None:
    tls = ("+tla", "+cf", hospital.ours.file)
    titles = ("-aet", "CT1", "-aec", "SHARE", "127.0.0.1")
    async with open_doors() as doors:
        await run("echoscu", *tls, *titles, str(doors.tls_port))
        await run("storescu", "-xe", *tls, *titles, str(doors.tls_port), *files)
        assert set(doors.contents) == datasets(files)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_pynetdicom_stores_bit_for_bit(
    open_doors: Open, hospital: Hospital, files: list[Path], version: ssl.TLSVersion
) -> None:
    def send(port: int) -> list[int]:
        ae = AE(ae_title="CT1")
        ae.add_requested_context(MR_SMALL.sop_class, LITTLE)
        context = trusting(hospital, "right", version)
        association = steady(ae.associate("127.0.0.1", port, ae_title="SHARE", tls_args=(context, "127.0.0.1")))
        assert association.is_established
        statuses = [association.send_c_store(pydicom.dcmread(path)).Status for path in files]
        association.release()
        assert association.is_released
        return statuses

    async with open_doors("required") as doors:
        assert await asyncio.to_thread(send, doors.tls_port) == [0] * len(files)
        assert set(doors.contents) == datasets(files)


# -- strangers ---------------------------------------------------------------------------------------------------------


async def closes(port: int, data: bytes) -> bytes:
    """What is said before the connection closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        async with asyncio.timeout(3):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def test_plain_dicom_on_the_tls_port_is_closed(open_doors: Open, hospital: Hospital) -> None:
    async with open_doors() as doors:
        with pytest.raises(AbortedError):
            await RawPeer.call(doors.tls_port)
        assert doors.reception.requests == []
        await doors.until(lambda: doors.reception.complaints)
        assert "plain port" in doors.reception.complaints[0].hint
        assert await is_let_in(doors.tls_port, trusting(hospital))


async def test_a_tls_hello_on_the_plain_port_is_closed_with_an_abort(open_doors: Open, hospital: Hospital) -> None:
    async with open_doors() as doors:
        hello, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting(hospital).wrap_bio(hello, to_send, server_hostname="127.0.0.1")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        assert (await closes(doors.port, to_send.read()))[:1] == b"\x07"
        assert not await is_let_in(doors.port, trusting(hospital))
        async with await RawPeer.call(doors.port) as peer:
            assert (await peer.echo()).status == 0


async def test_50_unfinished_handshakes_keep_nobody_out_and_are_closed(open_doors: Open, hospital: Hospital) -> None:
    async with open_doors(limits=Limits(handshake_s=1.5)) as doors, AsyncExitStack() as stack:
        unfinished = []
        for number in range(50):
            reader, writer = await asyncio.open_connection("127.0.0.1", doors.tls_port)
            stack.callback(lambda writer: writer.transport.abort(), writer)
            writer.write([b"", b"\x16\x03\x01\x02\x00\x01"][number % 2])  # nothing, or the beginning of a hello
            unfinished.append(reader)
        await doors.until(lambda: len(doors.acceptor._silent) == 50)
        began = time.monotonic()
        assert await is_let_in(doors.tls_port, trusting(hospital))
        secure_s = time.monotonic() - began
        async with await RawPeer.call(doors.port) as peer:
            assert (await peer.echo()).status == 0
        plain_s = time.monotonic() - began - secure_s
        assert (secure_s < 1, plain_s < 1) == (True, True), (secure_s, plain_s)
        async with asyncio.timeout(10):
            ends = await asyncio.gather(*(reader.read() for reader in unfinished), return_exceptions=True)
        assert all(end == b"" or isinstance(end, ConnectionError) for end in ends)
        assert time.monotonic() - began < 3
        await doors.until(lambda: not doors.acceptor._silent)


async def test_the_oldest_unfinished_handshake_makes_room_for_one_more(open_doors: Open, hospital: Hospital) -> None:
    async with open_doors(limits=Limits(silent=3, handshake_s=60, request_s=60)) as doors, AsyncExitStack() as stack:
        readers = []
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", doors.tls_port)
            stack.callback(lambda writer: writer.transport.abort(), writer)
            readers.append(reader)
        async with asyncio.timeout(3):
            assert await asyncio.gather(readers[0].read(), return_exceptions=True)
        await doors.until(lambda: len(doors.acceptor._silent) == 3)
        assert await is_let_in(doors.tls_port, trusting(hospital))


async def test_a_flood_from_one_address_pushes_out_itself_only(open_doors: Open, hospital: Hospital) -> None:
    """A handshake takes its time; somebody else's must not be what makes room."""
    async with open_doors(limits=Limits(silent=5, handshake_s=60, request_s=60)) as doors, AsyncExitStack() as stack:
        _, slow = await asyncio.open_connection("127.0.0.1", doors.tls_port)
        stack.callback(slow.transport.abort)
        await doors.until(lambda: len(doors.acceptor._silent) == 1)
        (ours,) = doors.acceptor._silent
        flood = []
        for _ in range(20):
            theirs = await asyncio.open_connection("127.0.0.1", doors.tls_port, local_addr=("127.0.0.2", 0))
            stack.callback(theirs[1].transport.abort)
            flood.append(theirs)
        async with asyncio.timeout(5):
            await asyncio.gather(*(reader.read() for reader, _ in flood[:16]), return_exceptions=True)
        assert ours in doors.acceptor._silent
        assert len(doors.acceptor._silent) == 5
        await slow.start_tls(trusting(hospital), server_hostname="127.0.0.1")
        assert slow.get_extra_info("ssl_object").version() == "TLSv1.3"


async def test_who_shakes_hands_and_then_says_nothing_is_given_up(open_doors: Open, hospital: Hospital) -> None:
    async with open_doors(limits=Limits(request_s=0.3)) as doors:
        peer = await over(trusting(hospital)).connect(doors.tls_port)
        with pytest.raises(AbortedError):
            await peer.receive()
        await doors.until(lambda: not doors.acceptor._silent)


async def test_a_sender_that_breaks_off_amid_a_store_leaves_nothing(open_doors: Open, hospital: Hospital) -> None:
    async with open_doors() as doors:
        async with await over(trusting(hospital)).call(doors.tls_port) as peer:
            await peer.send(peer.store_bytes(noise(300_000))[:200_000])
        await doors.until(lambda: not doors.acceptor._inside)
        assert (doors.contents, doors.reception.inside) == ([], [])


async def test_a_request_in_one_segment_with_the_end_of_the_handshake_is_answered(
    open_doors: Open, hospital: Hospital
) -> None:
    """TLS 1.3 lets a sender speak at once: its request may be there before the handshake's task wakes."""
    from tests.fakes.peers import CT, VERIFICATION, associate_request

    async with open_doors() as doors:
        reader, writer = await asyncio.open_connection("127.0.0.1", doors.tls_port)
        received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting(hospital).wrap_bio(received, to_send, server_hostname="127.0.0.1")
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(to_send.read())
                received.write(await reader.read(65536))
        client.write(associate_request("SHARE", "CT1", [(CT, LITTLE), (VERIFICATION, LITTLE)], 16384))
        writer.write(to_send.read())  # Finished and A-ASSOCIATE-RQ
        answer = b""
        async with asyncio.timeout(5):
            while not answer:
                received.write(await reader.read(65536))
                try:
                    answer = client.read(65536)
                except ssl.SSLWantReadError:
                    continue
        assert answer[0] == 2  # A-ASSOCIATE-AC
        writer.transport.abort()


# -- files -------------------------------------------------------------------------------------------------------------


def locked(pair: Pair, folder: Path) -> Path:
    key: Any = load_pem_private_key(pair.key.read_bytes(), None)
    path = folder / "locked.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    return path


def test_files_that_cannot_be_used_are_named_with_what_to_do(hospital: Hospital, tmp_path: Path) -> None:
    box, other, nowhere = hospital.box, hospital.modalities["other"], tmp_path / "nowhere"
    noise_file = tmp_path / "noise.pem"
    noise_file.write_bytes(noise(100))
    wrong: list[tuple[Path, Path, Path | str, str, Path]] = [
        (nowhere, box.key, "", "cannot be read", nowhere),
        (box.certificate, nowhere, "", "cannot be read", nowhere),
        (box.certificate, box.key, nowhere, "cannot be read", nowhere),
        (noise_file, box.key, "", "no certificate", noise_file),
        (box.certificate, noise_file, "", "no private key", noise_file),
        (box.certificate, box.key, noise_file, "no certificate", noise_file),
        (box.certificate, other.key, "", "is not the key of", other.key),
        (box.certificate, locked(box, tmp_path), "", "password", tmp_path / "locked.key"),
    ]
    for certificate, key, authority, what, named in wrong:
        with pytest.raises(SettingsError, match=what) as raised:
            server_context(str(certificate), str(key), str(authority), "required" if authority else "none")
        assert str(named) in raised.value.summary
        assert raised.value.hint != SettingsError.hint
