"""Django's settings; a later module wins."""

# ruff: noqa: F403
from orbit_site.settings.alerting import *
from orbit_site.settings.cluster import *
from orbit_site.settings.environment import *
from orbit_site.settings.framework import *
from orbit_site.settings.logs import *
from orbit_site.settings.rest import *
from orbit_site.settings.security import *
