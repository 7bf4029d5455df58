-- The journal's tables, as steps from nothing to the present. A journal's version (PRAGMA user_version) is how many of
-- them it has been through. A step that was ever released stays as it is; whatever is new is a step at the end.
-- No patient's data in clear: `sealed` columns are under the spool key, `*_key` columns are keyed hashes.

-- step: first_light
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS share (
    id INTEGER PRIMARY KEY,
    share_id BLOB NOT NULL UNIQUE,
    state TEXT NOT NULL,
    profile TEXT NOT NULL,
    patient_key BLOB NOT NULL,
    sealed BLOB,                      -- identity and data key; forgotten when the share is closed
    display BLOB NOT NULL,            -- sealed initials and year of birth, for lists
    held_because TEXT NOT NULL DEFAULT '',
    opened_at REAL NOT NULL,
    grown_at REAL NOT NULL,
    visit_ends_at REAL NOT NULL,
    at_vault INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,   -- of the newest manifest that was made; each try has its own
    dirty INTEGER NOT NULL DEFAULT 0,        -- a newer manifest is owed
    dropped INTEGER NOT NULL DEFAULT 0       -- instances whose rows are gone, as everything of them is delivered
) STRICT;
CREATE INDEX IF NOT EXISTS share_by_patient ON share (patient_key) WHERE state IN ('open', 'held');

CREATE TABLE IF NOT EXISTS study (
    id INTEGER PRIMARY KEY,
    share INTEGER NOT NULL REFERENCES share (id),
    study_key BLOB NOT NULL,
    state TEXT NOT NULL,
    source TEXT NOT NULL DEFAULT '',
    grown_at REAL NOT NULL,
    UNIQUE (share, study_key)
) STRICT;
CREATE INDEX IF NOT EXISTS study_by_key ON study (study_key);
CREATE INDEX IF NOT EXISTS study_arriving ON study (share) WHERE state = 'arriving';

CREATE TABLE IF NOT EXISTS instance (
    id INTEGER PRIMARY KEY,
    share INTEGER NOT NULL REFERENCES share (id),
    study INTEGER REFERENCES study (id),
    sop_key BLOB NOT NULL,
    stream_id BLOB NOT NULL UNIQUE,
    fingerprint BLOB NOT NULL,
    duplicate INTEGER NOT NULL DEFAULT 0,
    sealed BLOB,                      -- key and attributes; forgotten with the share's keys
    size INTEGER NOT NULL,
    segments TEXT NOT NULL,           -- [[file, offset, length], ...]
    first_file INTEGER NOT NULL,
    last_file INTEGER NOT NULL,
    packed INTEGER NOT NULL DEFAULT 0,   -- segments that are in an object
    relayed INTEGER NOT NULL DEFAULT 0   -- all of it is at the vault
) STRICT;
CREATE INDEX IF NOT EXISTS instance_by_sop ON instance (share, sop_key);
CREATE INDEX IF NOT EXISTS instance_waiting ON instance (share, id) WHERE relayed = 0;
CREATE INDEX IF NOT EXISTS instance_by_file ON instance (last_file);

CREATE TABLE IF NOT EXISTS object (
    share INTEGER NOT NULL REFERENCES share (id),
    number INTEGER NOT NULL,
    parts TEXT NOT NULL,              -- [[instance, first, last, offset, length], ...]
    size INTEGER NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (share, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS object_waiting ON object (share) WHERE stored = 0;

CREATE TABLE IF NOT EXISTS link (
    id INTEGER PRIMARY KEY,
    link_id BLOB NOT NULL UNIQUE,
    share INTEGER NOT NULL REFERENCES share (id),
    state TEXT NOT NULL,
    factor TEXT NOT NULL,
    sealed BLOB,                      -- secret, share key, envelope, verifier; forgotten with the paper
    pin BLOB,                         -- sealed; for the staff to tell
    public_url TEXT NOT NULL DEFAULT '',
    expires_in_s REAL NOT NULL,
    grace_s REAL NOT NULL,
    expires_at REAL,                  -- by the vault's clock
    minted_at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS link_by_share ON link (share);

CREATE TABLE IF NOT EXISTS slip (
    id INTEGER PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    link INTEGER NOT NULL REFERENCES link (id),
    share INTEGER NOT NULL REFERENCES share (id),
    state TEXT NOT NULL,
    copy INTEGER NOT NULL,
    why TEXT NOT NULL DEFAULT '',
    queued_at REAL NOT NULL,
    printed_at REAL
) STRICT;

CREATE TABLE IF NOT EXISTS effect (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    share INTEGER NOT NULL,
    link INTEGER,
    slip INTEGER,
    not_before REAL NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    share INTEGER,
    what TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS event_by_share ON event (share);

CREATE TABLE IF NOT EXISTS peer (
    ae_title TEXT NOT NULL,
    address TEXT NOT NULL,
    state TEXT NOT NULL,              -- parked, approved, refused
    first_seen REAL NOT NULL,
    last_seen REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (ae_title, address)
) STRICT, WITHOUT ROWID;
