SELECT (SELECT count(*)
FROM orbit_cyclerun
WHERE next_due_at IS NOT NULL), (SELECT count(*)
FROM orbit_deliveryreceipt
WHERE status = 'sending')
