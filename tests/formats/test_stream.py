"""The encrypted stream: held to Tink's own implementation, and to refusing whatever is not as it was written."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tink import TinkError, cleartext_keyset_handle, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

from appliance.errors import FormatError
from appliance.formats import base64url, stream
from appliance.formats.stream import FIRST_PLAIN_BYTES, HEADER_BYTES, PLAIN_BYTES, SEGMENT_BYTES, TAG_BYTES

KEY, AAD = bytes(range(32)), b"slipway/1 instance" + bytes(16)
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "stream.json").read_text())
EDGES = [0, 1, 1000, *(FIRST_PLAIN_BYTES + at + by for at in (0, PLAIN_BYTES) for by in (-1, 0, 1)), 3 * PLAIN_BYTES]


def sealed_size(plain_bytes: int) -> int:
    return HEADER_BYTES + plain_bytes + stream.segment_count(plain_bytes) * TAG_BYTES


def plain_of(size: int) -> bytes:
    return hashlib.shake_256(b"plain").digest(size)


def released(sealed: bytes, key: bytes = KEY, aad: bytes = AAD) -> tuple[bytes, bool]:
    """What a reader hands out before it complains, and whether it complained."""
    out = bytearray()
    try:
        for piece in stream.open_segments(key, aad, iter([sealed])):
            out += piece
    except FormatError:
        return bytes(out), True
    return bytes(out), False


# -- what it is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: str(case["size"]))
def test_a_stream_is_the_shared_vector_and_opens(case):
    plain = plain_of(case["size"])
    assert hashlib.sha256(plain).hexdigest() == case["plain_sha256"]
    key, aad, header = (base64url.decode(case[name]) for name in ("key", "aad", "header"))
    sealed = stream.seal(key, aad, plain, header)
    assert len(sealed) == case["sealed_size"] == sealed_size(case["size"])
    assert hashlib.sha256(sealed).hexdigest() == case["sealed_sha256"]
    assert case["sealed"] in (None, base64url.encode(sealed))
    assert stream.open_whole(key, aad, sealed) == plain


@pytest.fixture(scope="module")
def tink() -> streaming_aead.StreamingAead:
    """Google's implementation, told the parameters of docs/envelope.md and nothing else."""
    streaming_aead.register()
    params = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=1 << 20, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
    )
    key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, key_value=KEY, params=params)
    keyset = tink_pb2.Keyset(primary_key_id=1)
    one = keyset.key.add(status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
    one.key_data.type_url = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
    one.key_data.value = key.SerializeToString()
    one.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
    return cleartext_keyset_handle.from_keyset(keyset).primitive(streaming_aead.StreamingAead)


class Kept(io.BytesIO):
    def close(self) -> None:
        """Tink closes what it wrote to; the bytes are wanted all the same."""


@pytest.mark.parametrize("size", EDGES)
def test_tink_reads_what_we_write(tink, size):
    sealed = io.BytesIO(stream.seal(KEY, AAD, plain_of(size)))
    with tink.new_decrypting_stream(sealed, AAD) as reader:
        assert reader.read() == plain_of(size)


@pytest.mark.parametrize("size", EDGES)
def test_we_read_what_tink_writes(tink, size):
    sealed = Kept()
    with tink.new_encrypting_stream(sealed, AAD) as writer:
        writer.write(plain_of(size))
    assert len(sealed.getvalue()) == sealed_size(size)
    assert stream.open_whole(KEY, AAD, sealed.getvalue()) == plain_of(size)


def test_tink_refuses_our_stream_under_other_associated_data(tink):
    with pytest.raises(TinkError), tink.new_decrypting_stream(io.BytesIO(stream.seal(KEY, AAD, b"x")), b"y") as reader:
        reader.read()


@pytest.mark.parametrize("size", EDGES)
def test_the_size_is_known_beforehand(size):
    assert sealed_size(size) == len(stream.seal(KEY, AAD, bytes(size)))


def test_segments_open_in_any_order():
    plain = plain_of(2 * PLAIN_BYTES + 5)
    sealed = stream.seal(KEY, AAD, plain)
    cipher = stream.SegmentCipher(KEY, AAD, sealed[:HEADER_BYTES])
    assert cipher.open(2, sealed[2 * SEGMENT_BYTES :], last=True) == plain[FIRST_PLAIN_BYTES + PLAIN_BYTES :]
    assert cipher.open(0, sealed[HEADER_BYTES:SEGMENT_BYTES], last=False) == plain[:FIRST_PLAIN_BYTES]


def test_sealing_in_pieces_is_sealing():
    cipher = stream.SegmentCipher.new(KEY, AAD)
    encryptor = cipher.encryptor(3, last=True)
    sealed = encryptor.update(b"twelve") + encryptor.update(b" bytes") + encryptor.finalize() + encryptor.tag
    assert sealed == cipher.seal(3, b"twelve bytes", last=True)


def test_two_streams_of_the_same_bytes_under_one_key_have_nothing_in_common():
    one, other = (stream.seal(KEY, AAD, bytes(100)) for _ in range(2))
    assert one[1:HEADER_BYTES] != other[1:HEADER_BYTES]
    assert one[HEADER_BYTES:] != other[HEADER_BYTES:]


def test_no_nonce_of_a_stream_is_used_twice():
    cipher = stream.SegmentCipher.new(KEY, AAD)
    nonces = {cipher.nonce(index, last=last) for index in (0, 1, 255, 256, 2**32 - 1) for last in (False, True)}
    assert len(nonces) == 10
    assert {len(nonce) for nonce in nonces} == {12}


def test_a_stream_longer_than_its_counter_is_an_error_and_never_a_second_first_segment():
    with pytest.raises(OverflowError):
        stream.SegmentCipher.new(KEY, AAD).nonce(2**32, last=False)


def test_instances_and_manifests_never_share_associated_data():
    assert stream.instance_aad(bytes(16)) == b"slipway/1 instance" + bytes(16)
    assert stream.manifest_aad(bytes(16), 7) == b"slipway/1 manifest" + bytes(16) + b"\0\0\0\x07"


# -- pieces of any size --------------------------------------------------------------------------------------------

BIG = stream.seal(KEY, AAD, plain_of(2 * PLAIN_BYTES + 77))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(BIG)), max_size=12))
def test_the_pieces_in_which_ciphertext_comes_make_no_difference(cuts):
    edges = [0, *sorted(cuts), len(BIG)]
    pieces = (BIG[start:end] for start, end in itertools.pairwise(edges))
    assert b"".join(stream.open_segments(KEY, AAD, pieces)) == plain_of(2 * PLAIN_BYTES + 77)


def test_a_small_stream_opens_byte_by_byte():
    sealed = stream.seal(KEY, AAD, b"hello")
    assert b"".join(stream.open_segments(KEY, AAD, (sealed[n : n + 1] for n in range(len(sealed))))) == b"hello"


def test_a_segment_is_held_back_until_it_is_known_not_to_be_the_last():
    opener = stream.StreamOpener(KEY, AAD)
    assert opener.feed(BIG[:SEGMENT_BYTES]) == []
    assert [len(plain) for plain in opener.feed(BIG[SEGMENT_BYTES : SEGMENT_BYTES + 1])] == [FIRST_PLAIN_BYTES]


# -- what is not as it was written ---------------------------------------------------------------------------------


def test_every_bit_of_a_small_stream_counts():
    sealed = stream.seal(KEY, AAD, plain_of(1000))
    for at in range(len(sealed)):
        for bit in range(8):
            altered = bytearray(sealed)
            altered[at] ^= 1 << bit
            assert released(bytes(altered)) == (b"", True), (at, bit)


def test_a_small_stream_cut_anywhere_is_refused():
    sealed = stream.seal(KEY, AAD, plain_of(1000))
    for size in range(len(sealed)):
        assert released(sealed[:size]) == (b"", True), size


@pytest.mark.parametrize("more", [b"\0", bytes(TAG_BYTES), bytes(1000)])
def test_bytes_after_the_end_are_refused(more):
    assert released(stream.seal(KEY, AAD, b"hello") + more) == (b"", True)


@pytest.mark.parametrize("plain", [b"", b"\0" * 100])
def test_another_key_opens_nothing(plain):
    assert released(stream.seal(KEY, AAD, plain), key=bytes(32)) == (b"", True)


@pytest.mark.parametrize("aad", [b"", AAD[:-1], AAD + b"\0", AAD[:-1] + b"\x01", stream.manifest_aad(bytes(16), 0)])
def test_other_associated_data_opens_nothing(aad):
    assert released(stream.seal(KEY, AAD, b"hello"), aad=aad) == (b"", True)


SEGMENTS = [BIG[at : at + SEGMENT_BYTES] for at in range(0, len(BIG), SEGMENT_BYTES)]
OTHER = stream.seal(KEY, AAD, plain_of(2 * PLAIN_BYTES + 77))
OTHER_SEGMENTS = [OTHER[at : at + SEGMENT_BYTES] for at in range(0, len(OTHER), SEGMENT_BYTES)]
RELEASED = [0, FIRST_PLAIN_BYTES, FIRST_PLAIN_BYTES + PLAIN_BYTES]  # at most, when so many segments are sound


def assert_refused_after(sealed: bytes, sound: int) -> None:
    """Nothing of the damaged segment, nor of any after it."""
    out, complained = released(sealed)
    assert complained
    assert len(out) <= RELEASED[sound]
    assert plain_of(len(BIG)).startswith(out)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 2)])
def test_two_segments_that_changed_places_are_refused(one, other):
    swapped = SEGMENTS.copy()
    swapped[one], swapped[other] = swapped[other], swapped[one]
    assert_refused_after(b"".join(swapped), one)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_missing_segment_is_refused(n):
    assert_refused_after(b"".join(SEGMENTS[:n] + SEGMENTS[n + 1 :]), min(n, 1))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_segment_that_comes_twice_is_refused(n):
    assert_refused_after(b"".join(SEGMENTS[: n + 1] + SEGMENTS[n:]), min(n + 1, 2))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_segment_of_another_stream_under_the_same_key_is_refused(n):
    assert_refused_after(b"".join([*SEGMENTS[:n], OTHER_SEGMENTS[n], *SEGMENTS[n + 1 :]]), n)


@pytest.mark.parametrize("boundary", [HEADER_BYTES, SEGMENT_BYTES, 2 * SEGMENT_BYTES, len(BIG)])
@pytest.mark.parametrize("by", [-TAG_BYTES, -1, 0, 1, TAG_BYTES])
def test_a_stream_cut_at_or_near_a_boundary_is_refused(boundary, by):
    if boundary + by >= len(BIG):
        assert released(BIG + bytes(boundary + by - len(BIG)))[1] is (by > 0)
    else:
        assert_refused_after(BIG[: boundary + by], max(0, (boundary + by - 1) // SEGMENT_BYTES))


@pytest.mark.parametrize("boundary", [SEGMENT_BYTES, 2 * SEGMENT_BYTES])
@pytest.mark.parametrize("by", [-1, 1])
def test_a_boundary_that_has_moved_by_one_byte_is_refused(boundary, by):
    moved = BIG[: boundary - 1] + BIG[boundary:] if by < 0 else BIG[:boundary] + b"\0" + BIG[boundary:]
    assert_refused_after(moved, boundary // SEGMENT_BYTES - (by < 0))


def test_an_empty_segment_at_the_end_is_refused():
    assert_refused_after(b"".join(SEGMENTS[:2]) + bytes(TAG_BYTES), 2)


@pytest.mark.parametrize("flag", [False, True])
def test_a_segment_sealed_with_the_other_flag_is_refused(flag):
    cipher = stream.SegmentCipher.new(KEY, AAD)
    sealed = cipher.seal(0, b"hello", last=flag)
    with pytest.raises(FormatError):
        cipher.open(0, sealed, last=not flag)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_one_bit_anywhere_in_a_long_stream_is_refused_and_nothing_after_it_is_given_out(n):
    chance = random.Random(n)
    for _ in range(12):
        at = n * SEGMENT_BYTES + chance.randrange(len(SEGMENTS[n]))
        altered = bytearray(BIG)
        altered[at] ^= 1 << chance.randrange(8)
        assert_refused_after(bytes(altered), n)


def test_a_reader_that_was_lied_to_once_gives_out_nothing_when_asked_again():
    opener = stream.StreamOpener(KEY, AAD)
    altered = bytearray(BIG)
    altered[SEGMENT_BYTES // 2] ^= 1
    with pytest.raises(FormatError):
        opener.feed(bytes(altered))
    with pytest.raises(FormatError):
        opener.feed(b"\0")
    with pytest.raises(FormatError):
        opener.finish()


@pytest.mark.parametrize("header", [b"", bytes(HEADER_BYTES), b"\x28" + bytes(38), b"\x29" + bytes(39), bytes(41)])
def test_what_is_no_header_is_refused(header):
    with pytest.raises(FormatError):
        stream.SegmentCipher(KEY, AAD, header)


@given(st.binary(max_size=200))
def test_random_bytes_are_never_a_stream(value):
    assert released(value) == (b"", True)


@pytest.mark.parametrize("size", range(TAG_BYTES))
def test_a_segment_shorter_than_its_tag_is_refused(size):
    with pytest.raises(FormatError):
        stream.SegmentCipher.new(KEY, AAD).open(0, os.urandom(size), last=True)
