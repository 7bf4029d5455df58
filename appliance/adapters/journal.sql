-- The journal's statements (its tables: journal_schema.sql). They are named by `-- name:` lines and called by that name.
-- No patient's data in clear: `sealed` columns are under the spool key, `*_key` columns are keyed hashes.

-- name: get_meta
SELECT value FROM meta WHERE key = :key;

-- name: put_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: known_streams
SELECT stream_id FROM instance;

-- name: candidate_shares
-- This patient's of the visit; and those that have the study, also after the visit: it is one, and as doubtful as before.
SELECT share.id, share.share_id, share.state, share.sealed, share.doubt, share.decided, share.rules,
       share.visit_ends_at > :now AS in_visit, study.id IS NOT NULL AS has_study, study.allowed
FROM share LEFT JOIN study ON study.share = share.id AND study.study_key = :study_key
WHERE share.id IN (SELECT id FROM share WHERE patient_key = :patient_key AND state IN ('open', 'held')
                   UNION SELECT share FROM study WHERE study_key = :study_key)
  AND share.state IN ('open', 'held') AND share.profile = :profile
  AND (share.visit_ends_at > :now OR study.id IS NOT NULL)
ORDER BY share.id;

-- name: shares_of_birth_date
SELECT id, share_id, state, sealed, doubt, decided, rules, 1 AS in_visit, 0 AS has_study, 0 AS allowed FROM share
WHERE birth_key = :birth_key AND state IN ('open', 'held') AND profile = :profile AND visit_ends_at > :now
  AND patient_key != :patient_key
ORDER BY id;

-- name: add_share
INSERT INTO share (share_id, state, profile, patient_key, sealed, display, held_because, opened_at, grown_at, visit_ends_at)
VALUES (:share_id, :state, :profile, :patient_key, :sealed, :display, :held_because, :now, :now, :visit_ends_at)
RETURNING id;

-- name: share
SELECT * FROM share WHERE id = :id;

-- name: share_by_prefix
SELECT * FROM share WHERE lower(hex(share_id)) LIKE :prefix || '%' ORDER BY id LIMIT 2;

-- name: shares
SELECT share.*,
       dropped + (SELECT count(*) FROM instance WHERE instance.share = share.id AND duplicate = 0) AS instances,
       dropped + (SELECT count(*) FROM instance WHERE instance.share = share.id AND duplicate = 0 AND relayed = 1)
       AS relayed
FROM share ORDER BY id DESC LIMIT :limit;

-- name: held_shares
SELECT share.*,
       dropped + (SELECT count(*) FROM instance WHERE instance.share = share.id AND duplicate = 0) AS instances,
       dropped + (SELECT count(*) FROM instance WHERE instance.share = share.id AND duplicate = 0 AND relayed = 1)
       AS relayed
FROM share WHERE state = 'held' ORDER BY id DESC;

-- name: share_states
-- The newest, and those that wait for a person, however long.
SELECT share_id, state FROM share
WHERE state = 'held' OR id IN (SELECT id FROM share ORDER BY id DESC LIMIT :limit) ORDER BY id DESC;

-- name: senders_of_share
SELECT DISTINCT ae_title FROM instance WHERE share = :share;

-- name: set_share_state
UPDATE share SET state = :state WHERE id = :id;

-- name: hold_share_because
UPDATE share SET held_because = :held_because, doubt = :doubt WHERE id = :id AND state = 'open';

-- name: set_share_doubt
UPDATE share SET held_because = :held_because, doubt = :doubt WHERE id = :id;

-- name: set_share_rules
UPDATE share SET rules = :rules WHERE id = :id;

-- name: describe_share
UPDATE share SET doubt = :doubt, rival = :rival, rules = :rules, birth_key = :birth_key WHERE id = :id;

-- name: set_share_decision
UPDATE share SET decided = :decided, rival = :rival WHERE id = :id;

-- name: follow_rival
-- Whoever may belong with a share may belong with the one that it has joined.
UPDATE share SET rival = iif(id = :into, nullif(:rival, :into), :into) WHERE rival = :share;

-- name: set_share_approvals
UPDATE share SET approvals = :approvals WHERE id = :id;

-- name: set_share_identity
UPDATE share SET sealed = :sealed, patient_key = :patient_key, birth_key = :birth_key WHERE id = :id;

-- name: share_grown
UPDATE share SET grown_at = :now, dirty = 1 WHERE id = :id;

-- name: share_dirty
UPDATE share SET dirty = 1 WHERE id = :id;

-- name: share_at_vault
UPDATE share SET at_vault = 1 WHERE id = :id;

-- name: next_generation
UPDATE share SET generation = generation + 1 WHERE id = :id RETURNING generation;

-- name: share_clean
UPDATE share SET dirty = 0 WHERE id = :id;

-- name: forget_share_keys
UPDATE share SET sealed = NULL, remarks = NULL WHERE id = :id;

-- name: forget_instance_keys
UPDATE instance SET sealed = NULL, relayed = 1 WHERE share = :id;

-- name: forget_link_secrets_of_share
UPDATE link SET sealed = NULL, pin = NULL WHERE share = :id;

-- name: studies
SELECT * FROM study WHERE share = :share ORDER BY id;

-- name: study
SELECT * FROM study WHERE share = :share AND study_key = :study_key;

-- name: add_study
INSERT INTO study (share, study_key, uid, state, grown_at) VALUES (:share, :study_key, :uid, 'arriving', :now)
RETURNING id;

-- name: arriving_studies
SELECT study.*, share.profile FROM study JOIN share ON share.id = study.share
WHERE study.state = 'arriving' AND share.state IN ('open', 'held');

-- name: set_study_state
UPDATE study SET state = :state, source = :source, verdict = '' WHERE id = :id;

-- name: set_study_verdict
UPDATE study SET state = :state, source = :source, verdict = :verdict WHERE id = :id;

-- name: studies_by_key
SELECT study.* FROM study JOIN share ON share.id = study.share
WHERE study.study_key = :study_key AND share.state IN ('open', 'held');

-- name: count_study
SELECT count(*) AS n FROM instance
WHERE share = (SELECT share FROM study WHERE id = :study) AND study = :study AND duplicate = 0;

-- name: add_claim
INSERT INTO claim (source, claim_key, study_key, expected, listed, ended, at)
VALUES (:source, :claim_key, :study_key, :expected, :listed, :ended, :now) RETURNING id;

-- name: add_claimed
INSERT INTO claimed_instance (claim, sop_key, sealed) VALUES (:claim, :sop_key, :sealed);

-- name: drop_claim
DELETE FROM claim WHERE source = :source AND claim_key = :claim_key AND study_key IS :study_key;

-- name: reopen_query_claim
UPDATE claim SET ended = 0 WHERE source = 'query' AND study_key = :study_key AND ended = 1;

-- name: drop_claims
DELETE FROM claim WHERE source = :source AND claim_key = :claim_key;

-- name: drop_excess_claims
-- Lists of studies that are not here, the oldest first: an archive may announce all that it ever gets.
DELETE FROM claim WHERE id IN (
    SELECT id FROM (
        SELECT id, sum(expected) OVER (ORDER BY id DESC) AS so_far FROM claim
        WHERE listed = 1 AND study_key IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM study JOIN share ON share.id = study.share
            WHERE study.study_key = claim.study_key AND share.state IN ('open', 'held')))
    WHERE so_far > :most);

-- name: claim_by_key
SELECT * FROM claim WHERE source = :source AND claim_key = :claim_key;

-- name: end_claim
UPDATE claim SET ended = 1 WHERE source = :source AND claim_key = :claim_key;

-- name: studies_of_claim
SELECT DISTINCT study.study_key FROM claim
JOIN claimed_instance AS named ON named.claim = claim.id
JOIN instance ON instance.sop_key = named.sop_key AND instance.duplicate = 0
JOIN study ON study.id = instance.study
WHERE claim.source = :source AND claim.claim_key = :claim_key;

-- name: claims_of_study
-- One row a source: what several lists of it name is counted once.
SELECT source, min(ended) AS ended, max(listed) AS listed,
       CASE WHEN max(listed) = 1 THEN count(DISTINCT sop_key) ELSE max(expected) END AS expected,
       count(DISTINCT CASE WHEN NOT here THEN sop_key END) AS missing
FROM (
    SELECT claim.source, claim.ended, claim.listed, claim.expected, named.sop_key, EXISTS (
               SELECT 1 FROM instance WHERE instance.sop_key = named.sop_key AND instance.duplicate = 0
                                        AND instance.study = :study) AS here, 0 AS elsewhere
    FROM claim LEFT JOIN claimed_instance AS named ON named.claim = claim.id
    WHERE claim.study_key = :study_key
    UNION ALL
    -- A list that names no study concerns those of which it names an image that is here; not its other studies' images.
    SELECT claim.source, claim.ended, 1, 0, named.sop_key, EXISTS (
               SELECT 1 FROM instance WHERE instance.sop_key = named.sop_key AND instance.duplicate = 0
                                        AND instance.study = :study), EXISTS (
               SELECT 1 FROM instance JOIN share ON share.id = instance.share JOIN study ON study.id = instance.study
               WHERE instance.sop_key = named.sop_key AND instance.duplicate = 0 AND share.state IN ('open', 'held')
                 AND study.study_key != :study_key)
    FROM claim JOIN claimed_instance AS named ON named.claim = claim.id
    WHERE claim.study_key IS NULL AND (claim.ended = 1 OR claim.source != 'media-creation')  -- each wish is its own
      AND claim.id IN (
        SELECT other.claim FROM instance CROSS JOIN claimed_instance AS other ON other.sop_key = instance.sop_key
        WHERE instance.share = (SELECT share FROM study WHERE id = :study) AND instance.study = :study
          AND instance.duplicate = 0 AND EXISTS (SELECT 1 FROM claim WHERE study_key IS NULL)))
WHERE here OR NOT elsewhere
GROUP BY source;

-- name: retract_announced
DELETE FROM claimed_instance WHERE sop_key = :sop_key
  AND claim IN (SELECT id FROM claim WHERE source = 'notification' AND study_key = :study_key);

-- name: named_by_claim
SELECT named.sop_key, named.sealed FROM claimed_instance AS named JOIN claim ON claim.id = named.claim
WHERE claim.source = :source AND claim.claim_key = :claim_key;

-- name: missing_of_claim
SELECT named.sop_key, named.sealed FROM claimed_instance AS named JOIN claim ON claim.id = named.claim
WHERE claim.source = :source AND claim.claim_key = :claim_key AND NOT EXISTS (
    SELECT 1 FROM instance JOIN share ON share.id = instance.share
    WHERE instance.sop_key = named.sop_key AND instance.duplicate = 0
      AND share.state IN ('open', 'held') AND share.profile = :profile);

-- name: announced_and_missing
SELECT named.sop_key, named.sealed FROM claimed_instance AS named JOIN claim ON claim.id = named.claim
WHERE claim.source = 'notification' AND claim.study_key = :study_key AND claim.ended = 1 AND NOT EXISTS (
    SELECT 1 FROM instance
    WHERE instance.sop_key = named.sop_key AND instance.duplicate = 0 AND instance.share = :share);

-- name: drop_old_claims
DELETE FROM claim WHERE at < :before AND source != 'media-creation' AND NOT EXISTS (
    SELECT 1 FROM study JOIN share ON share.id = study.share
    WHERE study.study_key = claim.study_key AND share.state IN ('open', 'held'));

-- name: drop_claims_without_request
DELETE FROM claim WHERE source = 'media-creation'
  AND NOT EXISTS (SELECT 1 FROM request WHERE request.uid_key = claim.claim_key);

-- name: clock_went_back_for_studies
UPDATE study SET grown_at = :now WHERE state = 'arriving' AND grown_at > :now;

-- name: clock_went_back_for_shares
UPDATE share SET visit_ends_at = :now + (visit_ends_at - opened_at), opened_at = :now
WHERE state IN ('open', 'held') AND opened_at > :now;

-- name: clock_went_back_for_growth
UPDATE share SET grown_at = :now WHERE state IN ('open', 'held') AND grown_at > :now;

-- name: clock_went_back_for_requests
UPDATE request SET at = :now WHERE state IN ('pending', 'creating') AND at > :now;

-- name: study_grown
UPDATE study SET grown_at = :now WHERE id = :id;

-- name: study_reported
UPDATE study SET reported = 1 WHERE id = :id;

-- name: allow_studies
UPDATE study SET allowed = 1 WHERE share = :share;

-- name: count_unreported
SELECT count(*) AS n FROM study WHERE share = :share AND reported = 0;

-- name: shares_with_studies_of
SELECT DISTINCT other.share FROM study JOIN study AS other ON other.study_key = study.study_key
JOIN share ON share.id = other.share
WHERE study.share = :share AND other.share != :share AND share.state IN ('open', 'held') AND share.profile = :profile
ORDER BY share.state != 'open', other.share;

-- name: count_at_vault
SELECT count(*) AS n FROM instance WHERE share = :share AND duplicate = 0 AND (packed > 0 OR relayed = 1);

-- name: move_study
UPDATE study SET share = :into WHERE id = :id;

-- name: take_over_study
UPDATE study SET reported = max(reported, :reported), allowed = max(allowed, :allowed) WHERE id = :id;

-- name: drop_study
DELETE FROM study WHERE id = :id;

-- name: mark_copies
UPDATE instance SET duplicate = 1, relayed = 1, sealed = NULL
WHERE share = :share AND study = :study AND duplicate = 0 AND EXISTS (
    SELECT 1 FROM instance AS first WHERE first.share = :into AND first.sop_key = instance.sop_key
                                      AND first.fingerprint = instance.fingerprint AND first.duplicate = 0);

-- name: move_instances
UPDATE instance SET share = :into, study = :into_study WHERE share = :share AND study = :study;

-- name: same_sop
SELECT fingerprint FROM instance WHERE share = :share AND sop_key = :sop_key AND duplicate = 0;

-- name: add_instance
INSERT INTO instance (share, study, sop_key, stream_id, fingerprint, duplicate, sealed, size, segments, first_file,
                      last_file, relayed, ae_title, address)
VALUES (:share, :study, :sop_key, :stream_id, :fingerprint, :duplicate, :sealed, :size, :segments, :first_file,
        :last_file, :relayed, :ae_title, :address)
RETURNING id;

-- name: instances
SELECT * FROM instance WHERE share = :share AND duplicate = 0 ORDER BY id;

-- name: count_instances
SELECT dropped + (SELECT count(*) FROM instance WHERE share = :share AND duplicate = 0) AS received,
       dropped + (SELECT count(*) FROM instance WHERE share = :share AND duplicate = 0 AND relayed = 1) AS relayed
FROM share WHERE id = :share;

-- name: instance
SELECT * FROM instance WHERE id = :id;

-- name: shares_to_relay
SELECT id, share_id, at_vault, grown_at FROM share WHERE state = 'open'
  AND (dirty = 1 OR EXISTS (SELECT 1 FROM instance WHERE instance.share = share.id AND relayed = 0))
ORDER BY urgent DESC, grown_at DESC;

-- name: unpacked_instances
SELECT id, segments, packed FROM instance
WHERE share = :share AND relayed = 0 AND packed < json_array_length(segments) ORDER BY id LIMIT 400;

-- name: set_packed
UPDATE instance SET packed = :packed WHERE id = :id;

-- name: next_object_number
SELECT coalesce(max(number) + 1, 0) AS number FROM object WHERE share = :share;

-- name: add_object
INSERT INTO object (share, number, parts, size) VALUES (:share, :number, :parts, :size);

-- name: waiting_objects
SELECT * FROM object WHERE share = :share AND stored = 0 ORDER BY number LIMIT :limit;

-- name: stored_objects
SELECT number, parts FROM object WHERE share = :share AND stored = 1;

-- name: object
SELECT * FROM object WHERE share = :share AND number = :number;

-- name: object_stored
UPDATE object SET stored = 1 WHERE share = :share AND number = :number;

-- name: unstored_parts
SELECT count(*) AS n FROM object, json_each(object.parts) AS part
WHERE object.share = :share AND object.stored = 0 AND json_extract(part.value, '$[0]') = :instance;

-- name: instance_relayed
UPDATE instance SET relayed = 1 WHERE id = :id;

-- name: count_waiting_objects
SELECT (SELECT count(*) FROM object JOIN share ON share.id = object.share WHERE stored = 0 AND share.state = 'open')
     + (SELECT count(*) FROM instance JOIN share ON share.id = instance.share
        WHERE relayed = 0 AND packed = 0 AND share.state = 'open') AS n;

-- name: count_waiting_images
SELECT count(*) AS images, coalesce(sum(size), 0) AS bytes FROM instance WHERE relayed = 0;

-- name: live_files
SELECT DISTINCT first_file, last_file FROM instance WHERE relayed = 0;

-- name: count_dropped
UPDATE share SET dropped = dropped + (
    SELECT count(*) FROM instance WHERE instance.share = share.id AND duplicate = 0 AND last_file < :oldest_file)
WHERE state IN ('closed', 'revoked')
  AND EXISTS (SELECT 1 FROM instance WHERE instance.share = share.id AND last_file < :oldest_file);

-- name: drop_delivered_objects
DELETE FROM object WHERE share IN (SELECT id FROM share WHERE state IN ('closed', 'revoked'));

-- name: drop_delivered_instances
DELETE FROM instance WHERE last_file < :oldest_file
  AND (duplicate = 1 OR share IN (SELECT id FROM share WHERE state IN ('closed', 'revoked')));

-- name: add_link
INSERT INTO link (link_id, share, state, factor, sealed, pin, expires_in_s, grace_s, minted_at)
VALUES (:link_id, :share, 'registering', :factor, :sealed, :pin, :expires_in_s, :grace_s, :now)
RETURNING id;

-- name: link
SELECT * FROM link WHERE id = :id;

-- name: links
SELECT * FROM link WHERE share = :share ORDER BY id;

-- name: set_link_state
UPDATE link SET state = :state WHERE id = :id;

-- name: link_registered
UPDATE link SET expires_at = :expires_at, public_url = :public_url WHERE id = :id;

-- name: set_link_expiry
UPDATE link SET expires_in_s = :expires_in_s WHERE id = :id;

-- name: link_renewed
UPDATE link SET expires_at = :expires_at WHERE id = :id;

-- name: forget_link_secret
UPDATE link SET sealed = NULL, pin = iif(state = 'destroyed', NULL, pin) WHERE id = :id;

-- name: links_with_expiry
SELECT * FROM link WHERE state IN ('active', 'expired') AND expires_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM effect WHERE effect.link = link.id AND effect.kind = 'renew-link');

-- name: add_slip
INSERT INTO slip (number, link, share, state, copy, why, queued_at, wristband)
VALUES (:number, :link, :share, 'queued', :copy, :why, :now, :wristband) RETURNING id;

-- name: count_slips
SELECT count(*) AS n FROM slip WHERE share = :share;

-- name: slip
SELECT * FROM slip WHERE id = :id;

-- name: slip_by_number
SELECT * FROM slip WHERE number = :number;

-- name: slips
SELECT slip.*, share.display, share.share_id, link.state AS link_state, link.expires_at
FROM slip JOIN share ON share.id = slip.share JOIN link ON link.id = slip.link
ORDER BY slip.id DESC LIMIT :limit;

-- name: slips_of_link
SELECT * FROM slip WHERE link = :link;

-- name: slips_of_share
SELECT * FROM slip WHERE share = :share ORDER BY id;

-- name: slips_printing
SELECT * FROM slip WHERE state = 'printing';

-- name: slips_in_state
SELECT * FROM slip WHERE state = :state ORDER BY id;

-- name: slips_to_keep_back
SELECT id FROM slip WHERE state = 'queued' AND queued_at < :before AND wristband = 0
  AND EXISTS (SELECT 1 FROM effect WHERE effect.slip = slip.id AND effect.kind = 'print-slip');

-- name: slips_unanswered
SELECT id FROM slip WHERE state = 'unconfirmed' AND printed_at < :before;

-- name: slip_queued
UPDATE slip SET queued_at = :now WHERE id = :id;

-- name: slips_at_interlock
SELECT slip.id, slip.number, slip.share, share.share_id, share.profile, share.sealed
FROM slip JOIN share ON share.id = slip.share
WHERE slip.state = 'queued' AND slip.wristband = 1 ORDER BY slip.id;

-- name: open_interlock
UPDATE slip SET wristband = 0, queued_at = :now WHERE id = :id;

-- name: newest_slip_at_printer
SELECT state FROM slip WHERE state IN ('unconfirmed', 'printed', 'unknown') ORDER BY id DESC LIMIT 1;

-- name: count_slips_waiting
SELECT count(*) AS n FROM slip WHERE state = 'printing' OR (state = 'queued' AND wristband = 0);

-- name: set_slip_state
UPDATE slip SET state = :state WHERE id = :id;

-- name: slip_printed
UPDATE slip SET printed_at = :now WHERE id = :id;

-- name: add_effect
INSERT INTO effect (kind, share, link, slip) VALUES (:kind, :share, :link, :slip);

-- name: due_effects
SELECT * FROM effect WHERE kind IN (SELECT value FROM json_each(:kinds))
  AND (not_before <= :now OR not_before > :now + 600)  -- nothing waits so long: the clock was wrong when it was put off
  -- A link's successor is registered first: with its last link the vault deletes a share.
  AND NOT (kind = 'destroy-link' AND EXISTS (
      SELECT 1 FROM effect AS other
      WHERE other.share = effect.share AND other.kind = 'register-link' AND other.link != effect.link))
  -- A slip waits until its predecessor is dead: never two that work.
  AND NOT (kind = 'print-slip' AND EXISTS (
      SELECT 1 FROM effect AS other WHERE other.share = effect.share AND other.kind = 'destroy-link'))
  -- Nor before its patient's wristband has been scanned, where the profile asks for that.
  AND NOT (kind = 'print-slip' AND EXISTS (
      SELECT 1 FROM slip WHERE slip.id = effect.slip AND slip.wristband = 1 AND slip.state = 'queued'))
ORDER BY id LIMIT :limit;

-- name: effect_done
DELETE FROM effect WHERE id = :id;

-- name: effect_failed
UPDATE effect SET failures = failures + 1, not_before = :not_before WHERE id = :id;

-- name: effects_of_share
SELECT * FROM effect WHERE share = :share;

-- name: retry_effects_now
UPDATE effect SET not_before = 0;

-- name: do_not_print
DELETE FROM effect WHERE kind = 'print-slip' AND slip = :slip;

-- name: put_off_slip
UPDATE effect SET not_before = :not_before WHERE kind = 'print-slip' AND slip = :slip;

-- name: settled_shares
SELECT share.* FROM share
WHERE state = 'open' AND visit_ends_at <= :now AND dirty = 0
  AND EXISTS (SELECT 1 FROM link WHERE link.share = share.id)  -- else nobody has asked for it yet
  AND NOT EXISTS (SELECT 1 FROM instance WHERE instance.share = share.id AND relayed = 0)
  AND NOT EXISTS (SELECT 1 FROM study WHERE study.share = share.id AND study.state = 'arriving')
  AND NOT EXISTS (SELECT 1 FROM slip WHERE slip.share = share.id
                  AND slip.state IN ('queued', 'overdue', 'printing', 'unconfirmed'))
  AND NOT EXISTS (SELECT 1 FROM effect WHERE effect.share = share.id);

-- name: shares_never_asked_for
-- What was held may have waited longer than a visit: then as long again from when it was handed out.
SELECT id FROM share WHERE state = 'open' AND visit_ends_at <= :now
  AND NOT EXISTS (SELECT 1 FROM link WHERE link.share = share.id)
  AND NOT EXISTS (SELECT 1 FROM effect WHERE effect.share = share.id AND effect.kind = 'mint-link')
  AND NOT EXISTS (SELECT 1 FROM request WHERE request.share = share.id AND request.state IN ('pending', 'creating'))
  AND NOT EXISTS (SELECT 1 FROM event WHERE event.share = share.id AND event.what LIKE 'share released%'
                  AND event.at > :now - (share.visit_ends_at - share.opened_at));

-- name: count_held
-- Those for a person: what waits for its report alone needs nobody.
SELECT count(*) AS n FROM share WHERE state = 'held' AND (doubt != '' OR rules != '["report"]');

-- name: add_event
INSERT INTO event (at, share, what, by) VALUES (:now, :share, :what, :by);

-- name: events_of_share
SELECT at, what, by FROM event WHERE share = :share ORDER BY id;

-- name: event_of_share
SELECT at FROM event WHERE share = :share AND what = :what;

-- name: shares_to_relay_with_event
SELECT share_id FROM share WHERE state = 'open'
  AND EXISTS (SELECT 1 FROM event WHERE event.share = share.id AND event.what = :what)
  AND (dirty = 1 OR EXISTS (SELECT 1 FROM instance WHERE instance.share = share.id AND relayed = 0))
ORDER BY id;

-- name: see_peer
INSERT INTO peer (ae_title, address, state, first_seen, last_seen) VALUES (:ae_title, :address, :state, :now, :now)
ON CONFLICT (ae_title, address) DO UPDATE SET last_seen = excluded.last_seen, attempts = attempts + 1,
    state = CASE WHEN state = 'approved' THEN state ELSE excluded.state END;

-- name: peers
SELECT * FROM peer ORDER BY state DESC, last_seen DESC;

-- name: approve_peer
UPDATE peer SET state = 'approved' WHERE ae_title = :ae_title AND (:address = '' OR address = :address)
RETURNING ae_title, address;

-- name: drop_old_parked
DELETE FROM peer WHERE state != 'approved' AND (ae_title, address) IN (
    SELECT ae_title, address FROM peer WHERE state != 'approved' ORDER BY last_seen DESC LIMIT -1 OFFSET :keep);

-- name: count_parked
SELECT count(*) AS n FROM peer WHERE state = 'parked';

-- name: audit_ends
SELECT first, before, last, bytes, mac FROM audit_chain;

-- name: set_audit_ends
INSERT INTO audit_chain (one, first, before, last, bytes, mac) VALUES (1, :first, :before, :last, :bytes, :mac)
ON CONFLICT (one) DO UPDATE SET first = excluded.first, before = excluded.before, last = excluded.last,
    bytes = excluded.bytes, mac = excluded.mac;

-- name: newest_audit
SELECT id, mac FROM audit ORDER BY id DESC LIMIT 1;

-- name: add_audit
INSERT INTO audit (id, at, kind, sealed, mac) VALUES (:id, :at, :kind, :sealed, :mac);

-- name: audit_after
SELECT * FROM audit WHERE id > :after ORDER BY id LIMIT :limit;

-- name: drop_audit
DELETE FROM audit WHERE id < :first;

-- name: add_transfer
INSERT INTO transfer (study_key, sealed) VALUES (:study_key, :sealed) RETURNING id;

-- name: transfer
SELECT * FROM transfer WHERE id = :id;

-- name: transfers
SELECT * FROM transfer ORDER BY id;

-- name: transfer_grown
UPDATE transfer SET instances = instances + :instances WHERE id = :id;

-- name: transfer_ended
DELETE FROM transfer WHERE id = :id;

-- name: waiting
SELECT * FROM waiting;

-- name: forget_study_uids
UPDATE study SET uid = NULL WHERE share = :id;

-- name: add_request
INSERT INTO request (kind, uid_key, profile, state, asked_by, sealed, at)
VALUES (:kind, :uid_key, :profile, :state, :asked_by, :sealed, :now) RETURNING *;

-- name: request
SELECT * FROM request WHERE id = :id;

-- name: requests
SELECT * FROM request ORDER BY id DESC LIMIT :limit;

-- name: request_by_uid
SELECT * FROM request WHERE uid_key = :uid_key;

-- name: requests_in_state
SELECT * FROM request WHERE state = :state ORDER BY id;

-- name: set_request_state
UPDATE request SET state = :state, info = :info, at = :now WHERE id = :id;

-- name: pulls_with_slips
-- Workitems too for which the PACS was asked; whether for all of a study, they say themselves.
SELECT * FROM request WHERE (kind = 'pull' OR (kind = 'workitem' AND not_before > 0))
  AND state IN ('creating', 'done') AND tried < :tries ORDER BY id;

-- name: request_tried
UPDATE request SET tried = :tried, not_before = :not_before WHERE id = :id;

-- name: instance_is_here
SELECT 1 FROM instance JOIN share ON share.id = instance.share
WHERE instance.sop_key = :sop_key AND instance.duplicate = 0
  AND share.state IN ('open', 'held') AND share.profile = :profile LIMIT 1;

-- name: set_request_sealed
UPDATE request SET sealed = :sealed WHERE id = :id;

-- name: set_request_share
UPDATE request SET share = :share WHERE id = :id;

-- name: drop_excess_requests
DELETE FROM request WHERE state = 'idle' AND id IN (
    SELECT id FROM request WHERE state = 'idle' ORDER BY id DESC LIMIT -1 OFFSET :keep);

-- name: drop_old_requests
DELETE FROM request WHERE at < :before AND state NOT IN ('pending', 'creating');

-- name: count_missing
SELECT count(*) AS n FROM claimed_instance AS named JOIN claim ON claim.id = named.claim
WHERE claim.source = 'media-creation' AND claim.claim_key = :claim_key AND NOT EXISTS (
    SELECT 1 FROM instance JOIN share ON share.id = instance.share
    WHERE instance.sop_key = named.sop_key AND instance.duplicate = 0
      AND share.state IN ('open', 'held') AND share.profile = :profile);

-- name: count_named
SELECT count(*) AS n FROM claimed_instance AS named JOIN claim ON claim.id = named.claim
WHERE claim.source = 'media-creation' AND claim.claim_key = :claim_key;

-- name: shares_of_claim
SELECT DISTINCT share.* FROM claim
JOIN claimed_instance AS named ON named.claim = claim.id
JOIN instance ON instance.sop_key = named.sop_key AND instance.duplicate = 0
JOIN share ON share.id = instance.share
WHERE claim.source = 'media-creation' AND claim.claim_key = :claim_key
  AND share.state IN ('open', 'held') AND share.profile = :profile;

-- name: shares_of_study
SELECT share.*, study.state AS study_state FROM study JOIN share ON share.id = study.share
WHERE study.study_key = :study_key AND share.state IN ('open', 'held') AND share.profile = :profile;

-- name: requests_of_share
SELECT * FROM request WHERE share = :share AND state = :state ORDER BY id;

-- name: share_urgent
UPDATE share SET urgent = 1 WHERE id = :id AND urgent = 0;

-- name: share_requested
UPDATE share SET copies = :copies, remarks = :remarks WHERE id = :id;

-- name: subscribe
INSERT INTO subscriber (request, ae_title) VALUES (:request, :ae_title)
    ON CONFLICT (request, ae_title) DO UPDATE SET told = '', progress = '';

-- name: unsubscribe
DELETE FROM subscriber WHERE request = :request AND ae_title = :ae_title;

-- name: subscribe_to_all
INSERT INTO global_subscriber (ae_title) VALUES (:ae_title) ON CONFLICT DO NOTHING;

-- name: subscribe_to_workitems
INSERT INTO subscriber (request, ae_title) SELECT id, :ae_title FROM request WHERE kind = 'workitem' AND true
ON CONFLICT DO NOTHING;

-- name: suspend_all
DELETE FROM global_subscriber WHERE ae_title = :ae_title;

-- name: unsubscribe_from_all
DELETE FROM subscriber WHERE ae_title = :ae_title;

-- name: global_subscribers
SELECT ae_title FROM global_subscriber ORDER BY ae_title;

-- name: subscribers_to_tell
SELECT * FROM (
    SELECT request.*, subscriber.id AS subscriber, ae_title, told, progress,
           EXISTS (SELECT 1 FROM cancel_notice WHERE cancel_notice.subscriber = subscriber.id) AS notices
    FROM subscriber JOIN request ON request.id = subscriber.request)
WHERE told NOT IN ('COMPLETED', 'CANCELED') OR notices ORDER BY subscriber;

-- name: set_told
UPDATE subscriber SET told = :told, progress = :progress WHERE id = :id;

-- name: add_cancel_notices
INSERT INTO cancel_notice (subscriber, sealed) SELECT id, :sealed FROM subscriber WHERE request = :request;

-- name: drop_excess_cancel_notices
DELETE FROM cancel_notice WHERE id IN (
    SELECT id FROM (
        SELECT cancel_notice.id, row_number() OVER (PARTITION BY subscriber ORDER BY cancel_notice.id DESC) AS nth
        FROM cancel_notice JOIN subscriber ON subscriber.id = cancel_notice.subscriber
        WHERE subscriber.request = :request)
    WHERE nth > :keep);

-- name: cancel_notices
SELECT * FROM cancel_notice WHERE subscriber = :subscriber ORDER BY id;

-- name: cancel_noticed
DELETE FROM cancel_notice WHERE subscriber = :subscriber AND id <= :last;
