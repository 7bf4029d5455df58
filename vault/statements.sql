-- Every statement of the ledger, by name. Parameters are named as in vault/ports.py.

-- name: add_code
INSERT INTO enrolment_code (code_id, code_key, device_name, good_until)
VALUES (:code_id, :code_key, :name, :good_until) ON CONFLICT DO NOTHING;
-- name: code
SELECT code_key, device_name, wrong_macs FROM enrolment_code WHERE code_id = :code_id AND good_until > :now;
-- name: count_wrong_mac
UPDATE enrolment_code SET wrong_macs = wrong_macs + 1 WHERE code_id = :code_id RETURNING wrong_macs;
-- name: spend_code
DELETE FROM enrolment_code WHERE code_id = :code_id;
-- name: forget_codes
DELETE FROM enrolment_code WHERE good_until <= :now;

-- name: add_device
INSERT INTO device (device_id, name, public_key, enrolled_at) VALUES (:device_id, :name, :public_key, :now);
-- name: device
SELECT device_id, name, public_key, enrolled_at, last_seen_at, revoked_at FROM device WHERE device_id = :device_id;
-- name: devices
SELECT device_id, name, public_key, enrolled_at, last_seen_at, revoked_at FROM device ORDER BY enrolled_at, device_id;
-- name: revoke_device
UPDATE device SET revoked_at = coalesce(revoked_at, :now) WHERE device_id = :device_id;
-- name: device_seen
UPDATE device SET last_seen_at = :now WHERE device_id = :device_id;
-- name: remember_nonce
INSERT INTO nonce (device_id, nonce, forget_at) VALUES (:device_id, :nonce, :forget_at) ON CONFLICT DO NOTHING;
-- name: forget_nonces
DELETE FROM nonce WHERE forget_at <= :now;

-- name: share
SELECT device_id, deleted_at FROM share WHERE share_id = :share_id;
-- name: add_share
INSERT INTO share (share_id, device_id, made_at, changed_at) VALUES (:share_id, :device_id, :now, :now);
-- name: touch_share
UPDATE share SET changed_at = :now WHERE share_id = :share_id;
-- name: mark_share_deleted
UPDATE share SET deleted_at = coalesce(deleted_at, :now) WHERE share_id = :share_id;
-- name: forget_objects
DELETE FROM object WHERE share_id = :share_id;
-- name: forget_manifest
DELETE FROM manifest WHERE share_id = :share_id;
-- name: unpurged_shares
SELECT share_id FROM share WHERE deleted_at IS NOT NULL AND purged_at IS NULL ORDER BY deleted_at LIMIT 100;
-- name: mark_share_purged
UPDATE share SET purged_at = deleted_at WHERE share_id = :share_id;
-- name: unreachable_shares
SELECT share_id FROM share s
WHERE deleted_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM link l WHERE l.share_id = s.share_id AND l.destroyed_at IS NULL)
  AND (EXISTS (SELECT 1 FROM link l WHERE l.share_id = s.share_id AND l.was_put) OR changed_at <= :linkless_since)
LIMIT 100;

-- name: object
SELECT size, digest FROM object WHERE share_id = :share_id AND number = :number;
-- name: add_object
INSERT INTO object (share_id, number, size, digest) VALUES (:share_id, :number, :size, :digest);
-- name: object_numbers
SELECT number FROM object WHERE share_id = :share_id ORDER BY number;
-- name: manifest
SELECT generation, size, digest FROM manifest WHERE share_id = :share_id;
-- name: set_manifest
INSERT INTO manifest (share_id, generation, size, digest) VALUES (:share_id, :number, :size, :digest)
ON CONFLICT (share_id) DO UPDATE SET generation = :number, size = :size, digest = :digest;

-- name: link
SELECT * FROM link WHERE link_id = :link_id;
-- name: links
SELECT * FROM link WHERE share_id = :share_id ORDER BY expires_at, link_id;
-- name: add_link
INSERT INTO link (link_id, share_id, factor, verifier, share_key, envelope, expires_in_s, grace_s, expires_at, was_put)
VALUES (:link_id, :share_id, :factor, :verifier, :share_key, :envelope, :expires_in_s, :grace_s, :expires_at, 1);
-- name: add_tombstone
INSERT INTO link (link_id, share_id, expires_in_s, grace_s, expires_at, destroyed_at, was_put)
VALUES (:link_id, :share_id, 0, 0, :now, :now, 0);
-- name: renew_link
UPDATE link SET expires_at = :expires_at WHERE link_id = :link_id;
-- name: count_try
UPDATE link SET tries = tries + 1
WHERE link_id = :link_id AND tries < 5 AND destroyed_at IS NULL AND expires_at > :now
RETURNING *;
-- name: give_try_back
UPDATE link SET tries = tries - 1, opened = opened + 1, last_opened_at = :now WHERE link_id = :link_id RETURNING *;
-- name: destroy_link
UPDATE link SET destroyed_at = :now, factor = NULL, verifier = NULL, share_key = NULL, envelope = NULL
WHERE link_id = :link_id AND destroyed_at IS NULL;
-- name: destroy_links
UPDATE link SET destroyed_at = :now, factor = NULL, verifier = NULL, share_key = NULL, envelope = NULL
WHERE share_id = :share_id AND destroyed_at IS NULL;
-- name: destroy_outlived_links
UPDATE link SET destroyed_at = :now, factor = NULL, verifier = NULL, share_key = NULL, envelope = NULL
WHERE destroyed_at IS NULL AND expires_at + grace_s <= :now;
