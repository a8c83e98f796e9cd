-- Delete hours of deliveries that are over a month old.
-- params: most int
DELETE FROM orbit_deliveryhour
WHERE id IN (
    SELECT id FROM orbit_deliveryhour
    WHERE hour < now() - interval '35 days'
    ORDER BY hour
    LIMIT %(most)s
)
