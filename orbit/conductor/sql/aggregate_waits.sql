-- A condition: tallies wait, or tasks are to be cancelled or retried.
(
    EXISTS (SELECT FROM orbit_conductortally)
    OR EXISTS (SELECT FROM orbit_conductorparent WHERE is_cancelling)
    OR EXISTS (SELECT FROM orbit_conductorparent WHERE is_retrying)
    OR EXISTS (SELECT FROM orbit_conductorrun WHERE is_cancelling)
)
