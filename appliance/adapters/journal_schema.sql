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

-- step: audit_and_quotas
ALTER TABLE study ADD COLUMN uid BLOB;  -- sealed; forgotten with the share's keys
ALTER TABLE instance ADD COLUMN ae_title TEXT NOT NULL DEFAULT '';  -- of the sender
ALTER TABLE instance ADD COLUMN address TEXT NOT NULL DEFAULT '';

-- What the box did and who asked for it, each record with a keyed hash over the one before. Oldest go first.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,           -- counts without a gap
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    sealed BLOB NOT NULL,
    mac BLOB NOT NULL
) STRICT;
CREATE TABLE audit_chain (            -- both ends of it: one row
    one INTEGER PRIMARY KEY CHECK (one = 1),
    first INTEGER NOT NULL,           -- the oldest that is kept
    before BLOB NOT NULL,             -- the keyed hash of the one before that
    last INTEGER NOT NULL,
    bytes INTEGER NOT NULL,           -- of all that are kept
    mac BLOB NOT NULL                 -- over these
) STRICT;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'audit records are never changed'); END;
CREATE TRIGGER audit_goes_from_its_old_end BEFORE DELETE ON audit
WHEN OLD.id >= (SELECT first FROM audit_chain)
BEGIN SELECT raise(ABORT, 'only audit records that were given up are deleted'); END;

CREATE TABLE transfer (               -- one study on one association, until that ends
    id INTEGER PRIMARY KEY,
    study_key BLOB NOT NULL,
    sealed BLOB NOT NULL,             -- who sends what
    instances INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Bytes that are spooled and not at the vault, by sender.
CREATE TABLE waiting (
    ae_title TEXT NOT NULL,
    address TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (ae_title, address)
) STRICT, WITHOUT ROWID;
INSERT INTO waiting (ae_title, address, bytes)
SELECT ae_title, address, sum(size) FROM instance WHERE relayed = 0 GROUP BY ae_title, address;
CREATE TRIGGER instance_waits AFTER INSERT ON instance WHEN NEW.relayed = 0
BEGIN
    INSERT INTO waiting (ae_title, address, bytes) VALUES (NEW.ae_title, NEW.address, NEW.size)
    ON CONFLICT (ae_title, address) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER instance_waits_no_more AFTER UPDATE OF relayed ON instance WHEN OLD.relayed = 0 AND NEW.relayed = 1
BEGIN
    UPDATE waiting SET bytes = bytes - OLD.size WHERE ae_title = OLD.ae_title AND address = OLD.address;
    DELETE FROM waiting WHERE ae_title = OLD.ae_title AND address = OLD.address AND bytes <= 0;
END;
CREATE TRIGGER instance_left_while_waiting AFTER DELETE ON instance WHEN OLD.relayed = 0
BEGIN
    UPDATE waiting SET bytes = bytes - OLD.size WHERE ae_title = OLD.ae_title AND address = OLD.address;
    DELETE FROM waiting WHERE ae_title = OLD.ae_title AND address = OLD.address AND bytes <= 0;
END;

-- step: slips_by_state
CREATE INDEX slip_by_state ON slip (state);  -- those that wait are looked for every few seconds

-- step: interlock
ALTER TABLE slip ADD COLUMN wristband INTEGER NOT NULL DEFAULT 0;  -- 1: not printed before its patient's was scanned

-- step: sharing
ALTER TABLE share ADD COLUMN doubt TEXT NOT NULL DEFAULT '';       -- core/identity.py: why a person must decide
ALTER TABLE share ADD COLUMN rival INTEGER;                        -- the share that it may belong with
ALTER TABLE share ADD COLUMN rules TEXT NOT NULL DEFAULT '[]';     -- core/release_rules.py: what it must fulfil to go out
ALTER TABLE share ADD COLUMN approvals TEXT NOT NULL DEFAULT '[]'; -- who has said that it may be handed out
ALTER TABLE share ADD COLUMN birth_key BLOB;                       -- of its birth date, to find similar Patient IDs
ALTER TABLE share ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;    -- relayed before the others
ALTER TABLE share ADD COLUMN copies INTEGER NOT NULL DEFAULT 0;    -- of its slips, where a request says how many
ALTER TABLE share ADD COLUMN remarks BLOB;                         -- sealed: what a request wants on the slip
ALTER TABLE study ADD COLUMN verdict TEXT NOT NULL DEFAULT '';     -- JSON of core/completeness.py's, while one stands
ALTER TABLE study ADD COLUMN reported INTEGER NOT NULL DEFAULT 0;  -- a report of it is here
ALTER TABLE study ADD COLUMN allowed INTEGER NOT NULL DEFAULT 0;   -- a person let it out although a rule says never
-- What is held already is for a person: without a doubt it would go out by itself.
UPDATE share SET doubt = CASE
    WHEN held_because LIKE 'the same Patient ID %' THEN 'same-id-other-name'
    WHEN held_because LIKE 'a study with the same Study Instance UID %' THEN 'study-of-another-patient'
    WHEN held_because LIKE 'the images carry no Patient ID%' THEN 'no-patient-id'
    WHEN held_because LIKE 'the images could not be read%' THEN 'unreadable'
    WHEN held_because LIKE 'an image with the same SOP Instance UID %' THEN 'same-uid-other-bytes'
    WHEN held_because LIKE 'the vault refused %' THEN 'link-refused'
    ELSE 'held-back' END
WHERE state = 'held';
CREATE INDEX share_by_birth ON share (birth_key) WHERE state IN ('open', 'held');
ALTER TABLE event ADD COLUMN by TEXT NOT NULL DEFAULT '';          -- who asked for it; '' is the box itself

CREATE TABLE request (                -- somebody's wish for a share: daemon/requesting.py
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,               -- media-creation, workitem, pull
    uid_key BLOB NOT NULL UNIQUE,     -- of its SOP Instance UID
    profile TEXT NOT NULL,
    state TEXT NOT NULL,
    info TEXT NOT NULL DEFAULT '',    -- why it failed, a term of PS3.3 C.22.1
    asked_by TEXT NOT NULL,           -- AE title, or who typed it
    sealed BLOB NOT NULL,             -- what it says
    share INTEGER,
    tried INTEGER NOT NULL DEFAULT 0, -- times that what is missing was asked for at the PACS
    at REAL NOT NULL,                 -- of its last change
    not_before REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX request_by_state ON request (state);

CREATE TABLE claim (                  -- what a source says that a study has
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    claim_key BLOB NOT NULL,          -- who says it: of a request's, a notification's, a performed step's UID
    study_key BLOB,                   -- NULL where the source does not say: its instances tell
    expected INTEGER NOT NULL,        -- images; of a list, its length
    listed INTEGER NOT NULL,          -- 1: they are in claimed_instance; 0: a number only
    ended INTEGER NOT NULL,           -- 0: not the source's last word (step in progress, number asked once)
    at REAL NOT NULL,
    UNIQUE (source, claim_key, study_key)
) STRICT;
CREATE INDEX claim_by_study ON claim (study_key);
CREATE INDEX claim_by_key ON claim (claim_key);
CREATE TABLE claimed_instance (
    claim INTEGER NOT NULL REFERENCES claim (id) ON DELETE CASCADE,
    sop_key BLOB NOT NULL,
    sealed BLOB NOT NULL,             -- SOP class, instance, series and study UID, where it can be had
    PRIMARY KEY (claim, sop_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX claimed_by_instance ON claimed_instance (sop_key);
CREATE INDEX instance_by_sop_key ON instance (sop_key) WHERE duplicate = 0;

CREATE TABLE subscriber (             -- who is told of a workitem
    id INTEGER PRIMARY KEY,
    request INTEGER NOT NULL REFERENCES request (id) ON DELETE CASCADE,
    ae_title TEXT NOT NULL,
    told TEXT NOT NULL DEFAULT '',    -- the state of which it knows
    UNIQUE (request, ae_title)
) STRICT;
CREATE TABLE global_subscriber (ae_title TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;  -- of each workitem to come

-- step: workitem_events
ALTER TABLE subscriber ADD COLUMN progress TEXT NOT NULL DEFAULT '';  -- likewise: of which it knows
CREATE TABLE cancel_notice (          -- that somebody asked for a workitem to be cancelled, and who is still to hear it
    id INTEGER PRIMARY KEY,
    subscriber INTEGER NOT NULL REFERENCES subscriber (id) ON DELETE CASCADE,
    sealed BLOB NOT NULL              -- who asked, why, and whom to ask about that
) STRICT;
CREATE INDEX cancel_notice_by_subscriber ON cancel_notice (subscriber);

-- step: decisions
ALTER TABLE share ADD COLUMN decided TEXT NOT NULL DEFAULT '';     -- of whom it is and its rival: same-person, two-people
