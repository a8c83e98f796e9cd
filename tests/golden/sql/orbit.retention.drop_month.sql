SELECT orbit_drop_month(%(parent)s, %(month)s)
