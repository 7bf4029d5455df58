from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.relay import OBJECT_BYTES, Part, Waiting, backoff_s, pack

LIMIT = 100
SIZES = st.lists(st.integers(1, LIMIT), min_size=1, max_size=12).map(tuple)
QUEUES = st.lists(SIZES, max_size=8).map(lambda all_: [Waiting(n, sizes) for n, sizes in enumerate(all_)])


def after(waiting: list[Waiting], parts: tuple[Part, ...]) -> list[Waiting]:
    """What still waits once the parts are journalled; instances that are packed whole are not asked for again."""
    packed = {part.instance: part.last + 1 for part in parts}
    moved = [replace(item, next_piece=packed.get(item.instance, item.next_piece)) for item in waiting]
    return [item for item in moved if item.next_piece < len(item.piece_bytes)]


def pack_all(waiting: list[Waiting]) -> list[tuple[Part, ...]]:
    objects = []
    while parts := pack(waiting, LIMIT):
        objects.append(parts)
        waiting = after(waiting, parts)
    assert waiting == []
    return objects


@given(QUEUES)
def test_every_piece_is_in_exactly_one_object_exactly_once_and_in_order(waiting):
    sent = [(p.instance, n) for parts in pack_all(waiting) for p in parts for n in range(p.first, p.last + 1)]
    assert sent == [(item.instance, n) for item in waiting for n in range(len(item.piece_bytes))]


@given(QUEUES)
def test_no_object_is_ever_over_the_limit(waiting):
    for parts in pack_all(waiting):
        assert 0 < sum(part.length for part in parts) <= LIMIT


@given(QUEUES)
def test_parts_lie_one_after_the_other_and_are_as_long_as_their_pieces(waiting):
    sizes = {item.instance: item.piece_bytes for item in waiting}
    for parts in pack_all(waiting):
        offset = 0
        for part in parts:
            assert part.offset == offset
            assert part.length == sum(sizes[part.instance][part.first : part.last + 1])
            offset += part.length


@given(QUEUES)
def test_an_object_ends_only_because_its_next_piece_has_no_room_or_nothing_waits(waiting):
    objects = pack_all(waiting)
    sizes = {item.instance: item.piece_bytes for item in waiting}
    for parts, following in itertools.pairwise(objects):
        assert sum(p.length for p in parts) + sizes[following[0].instance][following[0].first] > LIMIT


@given(QUEUES)
def test_packing_what_has_not_changed_gives_the_same_object(waiting):
    assert pack(waiting, LIMIT) == pack(list(waiting), LIMIT)


@given(QUEUES, SIZES)
def test_what_arrives_later_never_changes_a_full_object(waiting, later):
    parts = pack(waiting, LIMIT)
    if after(waiting, parts):
        assert pack([*waiting, Waiting(99, later)], LIMIT) == parts


def test_the_first_image_goes_at_once_although_the_object_is_nearly_empty():
    assert pack([Waiting(7, (10,))], LIMIT) == (Part(7, 0, 0, 0, 10),)


def test_nothing_waiting_is_no_object():
    assert pack([], LIMIT) == ()


def test_an_instance_that_is_packed_to_its_end_is_passed_over():
    assert pack([Waiting(1, (10, 20), next_piece=2), Waiting(2, (5,))], LIMIT) == (Part(2, 0, 0, 0, 5),)


def test_a_piece_larger_than_the_rest_of_the_object_waits_and_nothing_overtakes_it():
    waiting = [Waiting(1, (60, 60)), Waiting(2, (10,))]
    assert pack(waiting, LIMIT) == (Part(1, 0, 0, 0, 60),)
    assert pack(after(waiting, pack(waiting, LIMIT)), LIMIT) == (Part(1, 1, 1, 0, 60), Part(2, 0, 0, 60, 10))


def test_a_piece_that_fills_the_object_exactly_fits():
    assert pack([Waiting(1, (40, 60)), Waiting(2, (1,))], LIMIT) == (Part(1, 0, 1, 0, 100),)


def test_a_piece_that_fits_into_no_object_is_not_cut():
    assert pack([Waiting(1, (LIMIT + 1,))], LIMIT) == ()


def test_an_object_holds_32_whole_pieces_of_a_stream():
    (part,) = pack([Waiting(1, (1 << 18,) * 80)])
    assert (part.first, part.last, part.length) == (0, 31, OBJECT_BYTES)


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0.5), (1, 1), (2, 2), (9, 256), (10, 300), (10_000, 300)])
def test_the_pause_doubles_up_to_five_minutes(failures, seconds):
    assert backoff_s(failures, 1.0) == seconds


@given(st.integers(0, 100), st.floats(0, 1))
def test_jitter_takes_away_at_most_half(failures, jitter):
    assert backoff_s(failures, 1.0) / 2 <= backoff_s(failures, jitter) <= backoff_s(failures, 1.0)
