"""Every pair of state and event of every table, as somebody has thought it over.

A new state or event is a hole in these pictures, and fails here until it is filled in.
"""

from __future__ import annotations

import re

import pytest

from appliance.core.completeness import STUDIES, StudyEvent, StudyState
from appliance.core.link import LINKS, LinkEvent, LinkState
from appliance.core.request import REQUESTS, RequestEvent, RequestState
from appliance.core.share import SHARES, ShareEvent, ShareState
from appliance.core.slip import SLIPS, SlipEvent, SlipState
from appliance.core.table import Effect
from appliance.errors import NotPossibleError

# A cell is the next state; `late` where a late answer changes nothing; `-` where it must not happen.
SHARE = """
            OPENED  GREW  RELEASED  JOINED   HELD_BACK  LINK_LOST  LINK_REFUSED  REPRINTED  DELIVERED  REVOKED
OPEN        OPEN    OPEN  late      -        HELD       OPEN       HELD          OPEN       CLOSED     REVOKED
HELD        HELD    HELD  OPEN      REVOKED  -          late       late          -          -          REVOKED
CLOSED      -       -     -         -        -          late       late          -          -          REVOKED
REVOKED     -       -     -         -        -          late       late          -          late       late
"""
LINK = """
             MINTED       REGISTERED  REFUSED    EXPIRED  RENEWED  REVOKED    GRACE_ENDED
REGISTERING  REGISTERING  ACTIVE      DESTROYED  -        -        DESTROYED  -
ACTIVE       -            late        -          EXPIRED  ACTIVE   DESTROYED  -
EXPIRED      -            late        -          late     ACTIVE   DESTROYED  DESTROYED
DESTROYED    -            DESTROYED   late       late     -        late       late
"""
SLIP = """
             STARTED   CONFIRMED  REFUSED  TAKEN        PRESUMED  LOST     VOIDED  OUTDATED  DELAYED  RELEASED
QUEUED       PRINTING  -          -        -            -         -        VOID    VOID      OVERDUE  late
OVERDUE      -         -          -        -            -         -        VOID    -         -        QUEUED
PRINTING     -         PRINTED    QUEUED   UNCONFIRMED  -         UNKNOWN  VOID    -         -        -
UNCONFIRMED  -         PRINTED    -        -            PRINTED   UNKNOWN  VOID    -         -        -
PRINTED      -         late       -        -            -         -        VOID    -         -        -
UNKNOWN      -         late       -        -            -         late     late    -         -        -
VOID         late      late       late     late         -         late     late    -         -        -
"""
STUDY = """
          GREW      FELL_QUIET  VERIFIED  FOUND_WANTING
ARRIVING  ARRIVING  QUIET       COMPLETE  -
COMPLETE  ARRIVING  late        COMPLETE  ARRIVING
QUIET     ARRIVING  QUIET       COMPLETE  -
"""
REQUEST = """
           INITIATED  GATHERED  HANDED_OUT  FAILED   CANCELLED
IDLE       PENDING    -         -           -        CANCELLED
PENDING    -          CREATING  -           FAILURE  CANCELLED
CREATING   -          -         DONE        FAILURE  CANCELLED
DONE       -          -         -           -        -
FAILURE    -          -         -           -        late
CANCELLED  -          late      late        late     late
"""
TABLES = [
    (SHARES, ShareState, ShareEvent, SHARE),
    (LINKS, LinkState, LinkEvent, LINK),
    (SLIPS, SlipState, SlipEvent, SLIP),
    (STUDIES, StudyState, StudyEvent, STUDY),
    (REQUESTS, RequestState, RequestEvent, REQUEST),
]


def cells(picture: str) -> dict[tuple[str, str], str]:
    head, *rows = (line.split() for line in picture.strip().splitlines())
    return {(state, event): cell for state, *line in rows for event, cell in zip(head, line, strict=True)}


def pairs():
    for table, states, events, picture in TABLES:
        thought_of = cells(picture)
        for state in states:
            for event in events:
                cell = thought_of.get((state.name, event.name), "nobody has thought of it")
                yield pytest.param(table, state, event, cell, id=f"{table.noun}-{state.name}-{event.name}")


@pytest.mark.parametrize(("table", "state", "event", "cell"), list(pairs()))
def test_every_pair_of_state_and_event_does_what_was_decided(table, state, event, cell):
    if cell == "-":
        with pytest.raises(NotPossibleError):
            table.advance(state, event)
    elif cell == "late":
        assert table.advance(state, event) == (state, ())
    else:
        assert table.advance(state, event)[0].name == cell


@pytest.mark.parametrize(("table", "states", "events", "picture"), TABLES, ids=lambda value: getattr(value, "noun", ""))
def test_the_pictures_hold_nothing_that_the_tables_lack(table, states, events, picture):
    assert set(cells(picture)) == {(state.name, event.name) for state in states for event in events}


@pytest.mark.parametrize("table", [SHARES, LINKS, SLIPS, STUDIES, REQUESTS], ids=lambda table: table.noun)
def test_no_late_answer_is_a_row_too(table):
    assert not table.late & table.rows.keys()


@pytest.mark.parametrize("table", [SHARES, LINKS, SLIPS, STUDIES, REQUESTS], ids=lambda table: table.noun)
def test_what_is_not_possible_is_said_in_words_that_staff_understand(table):
    state = next(iter(table.rows))[0]
    impossible = [e for t, s, e, c in (p.values for p in pairs()) if t is table and s is state and c == "-"]
    for event in impossible:
        with pytest.raises(NotPossibleError, match=f"^a {table.noun} that is {state} cannot be {re.escape(event)}$"):
            table.advance(state, event)


def test_every_effect_comes_from_some_row():
    said = {effect for table, *_ in TABLES for _, effects in table.rows.values() for effect in effects}
    assert said == set(Effect)


@pytest.mark.parametrize("state", [state for state in LinkState if state is not LinkState.DESTROYED])
def test_a_revoked_link_is_destroyed_at_the_vault_and_its_paper_and_secret_go(state):
    _, effects = LINKS.advance(state, LinkEvent.REVOKED)
    assert set(effects) == {Effect.DESTROY_LINK, Effect.VOID_SLIPS, Effect.FORGET_SECRET}


def test_a_refused_link_is_destroyed_at_the_vault_too_as_an_earlier_try_may_have_arrived():
    assert Effect.DESTROY_LINK in LINKS.advance(LinkState.REGISTERING, LinkEvent.REFUSED)[1]


def test_a_link_that_registers_after_it_was_given_up_is_destroyed_over_there():
    assert LINKS.advance(LinkState.DESTROYED, LinkEvent.REGISTERED)[1] == (Effect.DESTROY_LINK,)


def test_a_slip_is_printed_only_when_the_vault_has_its_link():
    printing = {pair for pair, (_, effects) in LINKS.rows.items() if Effect.PRINT_SLIP in effects}
    assert printing == {(LinkState.REGISTERING, LinkEvent.REGISTERED)}


@pytest.mark.parametrize("state", [SlipState.PRINTING, SlipState.UNCONFIRMED])
def test_a_lost_slip_loses_its_link_before_another_is_asked_for(state):
    assert SLIPS.advance(state, SlipEvent.LOST)[1] == (Effect.REVOKE_LINK, Effect.REPLACE_LINK)


def test_an_overdue_slip_is_printed_only_when_a_person_says_so():
    onward = {event for (state, event), (after, _) in SLIPS.rows.items() if state is SlipState.OVERDUE}
    assert onward == {SlipEvent.RELEASED, SlipEvent.VOIDED}


def test_a_reprint_revokes_before_it_mints():
    assert SHARES.advance(ShareState.OPEN, ShareEvent.REPRINTED)[1] == (Effect.REVOKE_LINKS, Effect.MINT_LINK)


def test_only_an_open_or_just_released_share_mints_or_relays():
    outward = {Effect.MINT_LINK, Effect.RELAY}
    assert all(state is ShareState.OPEN for state, effects in SHARES.rows.values() if outward & set(effects))


def test_a_share_that_is_over_forgets_its_keys():
    over = (ShareState.CLOSED, ShareState.REVOKED)
    for (state, _), (after, effects) in SHARES.rows.items():
        if after in over and state not in over:
            assert Effect.FORGET_KEYS in effects
