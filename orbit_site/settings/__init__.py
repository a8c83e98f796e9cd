"""Assembles Django's settings from the modules of this room."""

from orbit_site import __version__
from orbit_site.settings import cluster, environment, framework, logs, security

_MODULES = (framework, security, cluster, logs)
for _module in _MODULES:
    globals().update({name: getattr(_module, name) for name in vars(_module) if name.isupper()})

#: What the apps read of the environment, under the prefix that the variables have.
ORBIT_OWNER_DATABASE = framework.OWNER_DATABASE
ORBIT_VERSION = __version__
ORBIT_EMBEDDED_DATABASE = framework.EMBEDDED
ORBIT_ENCRYPTION_KEYS = security.ENCRYPTION_KEYS
ORBIT_KEYS_ARE_DERIVED = not environment.ENCRYPTION_KEYS
ORBIT_ENV = environment.ORBIT_ENV
ORBIT_PORT = environment.PORT
ORBIT_BIND = environment.BIND
ORBIT_TRUSTED_PROXIES = environment.TRUSTED_PROXIES
ORBIT_FORWARDING_PROXIES = environment.FORWARDING_PROXIES
ORBIT_BASE_DIR = environment.BASE_DIR
ORBIT_VAR_DIR = environment.VAR_DIR
ORBIT_CONFIG_DIR = environment.BASE_DIR / environment.CONFIG_DIR
ORBIT_DATABASE_SCHEMA = environment.DATABASE_SCHEMA
ORBIT_GLOBAL_PAUSE = environment.GLOBAL_PAUSE
ORBIT_CRON_SCHEDULE = environment.CRON_SCHEDULE
ORBIT_RUN_PROFILE_CRON_SCHEDULE = environment.RUN_PROFILE_CRON_SCHEDULE
ORBIT_TIME_ZONE = environment.TIME_ZONE
ORBIT_DISPATCH_ENDPOINTS = environment.DISPATCH_ENDPOINTS
ORBIT_DISPATCH_DEADLINE_SECONDS = environment.DISPATCH_DEADLINE_SECONDS
ORBIT_DISPATCH_ALLOWED_HOSTS = environment.DISPATCH_ALLOWED_HOSTS
ORBIT_MAX_DISPATCH_RETRIES = environment.MAX_DISPATCH_RETRIES
ORBIT_DISPATCH_BACKOFF_BASE = environment.DISPATCH_BACKOFF_BASE
ORBIT_DISPATCH_BACKOFF_CAP = environment.DISPATCH_BACKOFF_CAP
ORBIT_WORKERS = environment.WORKERS
ORBIT_CONCURRENCY = environment.CONCURRENCY
ORBIT_LEASE_SECONDS = environment.LEASE_SECONDS
ORBIT_DRAIN_SECONDS = environment.DRAIN_SECONDS
ORBIT_PASSWORD = environment.PASSWORD
ORBIT_RATE_LIMIT = environment.RATE_LIMIT
ORBIT_METRICS_TOKEN = environment.METRICS_TOKEN
ORBIT_LOG_FORMAT = environment.LOG_FORMAT

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "governance.rest.authentication.TokenAuthentication",
        "governance.rest.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["governance.rest.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["governance.rest.parsing.StrictJSONParser"],
    "EXCEPTION_HANDLER": "governance.rest.problem.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
}
