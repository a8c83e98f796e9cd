UPDATE governance_governancesetting
SET mode = %(mode)s, halt = %(mode)s IN ('halting', 'quiet'), reason = %(reason)s, changed_by = %(by)s, until = %(until)s, since = CASE WHEN %(moves)s THEN clock_timestamp() ELSE since END
WHERE namespace_id = %(id)s
