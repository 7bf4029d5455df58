-- Version 1. Ids, keys and digests are raw bytes; times are Unix seconds by the vault's clock.
-- Nothing here names or describes a patient; what could open a share is F, which never comes here.

CREATE TABLE enrolment_code (
    code_id     TEXT PRIMARY KEY,
    code_key    BLOB NOT NULL,          -- derived from the code's secret part
    device_name TEXT NOT NULL,
    good_until  INTEGER NOT NULL,
    wrong_macs  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
    device_id    BLOB PRIMARY KEY,
    name         TEXT NOT NULL,
    public_key   BLOB NOT NULL,
    enrolled_at  INTEGER NOT NULL,
    last_seen_at INTEGER,
    revoked_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE nonce (
    device_id BLOB NOT NULL REFERENCES device,
    nonce     BLOB NOT NULL,
    forget_at INTEGER NOT NULL,
    PRIMARY KEY (device_id, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX nonce_forget_at ON nonce (forget_at);

CREATE TABLE share (
    share_id   BLOB PRIMARY KEY,
    device_id  BLOB NOT NULL REFERENCES device,
    made_at    INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    deleted_at INTEGER,
    purged_at  INTEGER                  -- when its objects were gone from the store
) STRICT, WITHOUT ROWID;
CREATE INDEX share_open ON share (changed_at) WHERE deleted_at IS NULL;
CREATE INDEX share_unpurged ON share (deleted_at) WHERE deleted_at IS NOT NULL AND purged_at IS NULL;

CREATE TABLE object (
    share_id BLOB NOT NULL REFERENCES share,
    number   INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    digest   BLOB NOT NULL,             -- SHA-256 of the ciphertext
    PRIMARY KEY (share_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE manifest (
    share_id   BLOB PRIMARY KEY REFERENCES share,
    generation INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    digest     BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A destroyed link keeps its ids, times and counts; verifier, factor, S and envelope are gone.
CREATE TABLE link (
    link_id        BLOB PRIMARY KEY,
    share_id       BLOB NOT NULL REFERENCES share,
    factor         TEXT,
    verifier       BLOB,
    share_key      BLOB,                -- S
    envelope       BLOB,
    expires_in_s   INTEGER NOT NULL,    -- as first put: what a repeated PUT is compared with
    grace_s        INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    tries          INTEGER NOT NULL DEFAULT 0 CHECK (tries BETWEEN 0 AND 5),
    opened         INTEGER NOT NULL DEFAULT 0,
    last_opened_at INTEGER,
    destroyed_at   INTEGER,
    was_put        INTEGER NOT NULL     -- 0: revoked before the vault ever saw it
) STRICT, WITHOUT ROWID;
CREATE INDEX link_share ON link (share_id);
CREATE INDEX link_end ON link (expires_at + grace_s) WHERE destroyed_at IS NULL;
