-- Drop a month of checkpoints or records.
-- params: parent text, month date
SELECT orbit_drop_month(%(parent)s, %(month)s)
