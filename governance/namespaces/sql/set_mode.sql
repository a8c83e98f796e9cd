-- Set the mode of a namespace. `since` moves only if a stop begins or ends.
-- params: id bigint, mode text, reason text, by text, until timestamptz, moves bool
UPDATE governance_governancesetting
SET mode = %(mode)s,
    halt = %(mode)s IN ('halting', 'quiet'),
    reason = %(reason)s,
    changed_by = %(by)s,
    until = %(until)s,
    since = CASE WHEN %(moves)s THEN clock_timestamp() ELSE since END
WHERE namespace_id = %(id)s
