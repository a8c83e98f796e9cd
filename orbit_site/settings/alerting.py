"""When alerts are raised, and how they are sent. Django's e-mail settings."""

from django.core.exceptions import ImproperlyConfigured

from orbit_site.settings import environment
from orbit_site.settings.variables import boolean, integer, items, password, text, url

assert environment.ORBIT_ENV  # noqa: S101 - the documentation has its variables first

ORBIT_ALERT_CYCLE_MINUTES = integer(
    "ORBIT_ALERT_CYCLE_MINUTES",
    "60",
    "A cycle that is active for longer raises an alert, unless a halt or a pause holds it.",
    low=1,
    high=100_000,
)
ORBIT_ALERT_HALT_MINUTES = integer(
    "ORBIT_ALERT_HALT_MINUTES",
    "240",
    "A namespace that is halted for longer raises an alert.",
    low=1,
    high=1_000_000,
)
ORBIT_ALERT_PROPOSAL_HOURS = integer(
    "ORBIT_ALERT_PROPOSAL_HOURS",
    "24",
    "A pending proposal raises an alert so many hours before it expires.",
    low=1,
    high=10_000,
)
ORBIT_ALERT_EMAILS = items(
    "ORBIT_ALERT_EMAILS",
    "",
    "Addresses that get each alert when it opens and when it closes, comma separated. Needs "
    "`ORBIT_EMAIL_HOST`. Empty: no e-mail; endpoints marked `alerts` get alerts all the same.",
)
ORBIT_HEARTBEAT_URL = url(
    "ORBIT_HEARTBEAT_URL",
    "A monitor outside, such as a check of healthchecks.io: a cluster gets this address once a "
    "minute. Let the monitor alert you if nothing comes for five minutes. Empty: none.",
)
EMAIL_HOST = text("ORBIT_EMAIL_HOST", "localhost", "The mail server that takes alerts.")
EMAIL_PORT = integer("ORBIT_EMAIL_PORT", "25", "Its port.", low=1, high=65535)
EMAIL_HOST_USER = text("ORBIT_EMAIL_USER", "", "The user to log in as. Empty: no login.")
EMAIL_HOST_PASSWORD = password("ORBIT_EMAIL_PASSWORD", "The password of that user.")
EMAIL_USE_TLS = boolean("ORBIT_EMAIL_TLS", "false", "`true`: begin TLS by STARTTLS.")
EMAIL_USE_SSL = boolean("ORBIT_EMAIL_SSL", "false", "`true`: TLS from the first byte (port 465).")
DEFAULT_FROM_EMAIL = text(
    "ORBIT_EMAIL_FROM", "orbit@localhost", "The address that the e-mails are from."
)
EMAIL_TIMEOUT = 20

if EMAIL_USE_TLS and EMAIL_USE_SSL:
    raise ImproperlyConfigured("ORBIT_EMAIL_TLS and ORBIT_EMAIL_SSL are both true. Set one.")
