"""Django's own settings: apps, middleware, templates, databases."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from orbit_site.processes import postgres
from orbit_site.settings import environment as env

INSTALLED_APPS = [
    "orbit_site.apps.SiteConfig",
    "orbit_site.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "csp",
    "governance.apps.GovernanceConfig",
    "telemetry.apps.TelemetryConfig",
    "orbit.apps.OrbitConfig",
    "django_q",
]

MIDDLEWARE = [
    "governance.rest.request_id.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "governance.rest.etags.ETagMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [env.BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

ROOT_URLCONF = "orbit_site.urls"
WSGI_APPLICATION = "orbit_site.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = True
USE_TZ = True
TIME_ZONE = env.TIME_ZONE
LANGUAGE_CODE = "en"
USE_I18N = False
# Django's own formats for a language come before a setting's: ours are in a module.
FORMAT_MODULE_PATH = ["orbit_site.formats"]
STATIC_URL = "/static/"
STATICFILES_DIRS = [env.BASE_DIR / "orbit_site" / "static"]
# The finder serves files as they lie in the packages: no collect step that a fresh machine could forget.
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024


def _database(url: str, name: str, *, statement_seconds: int) -> dict[str, Any]:
    config = env.database_url(url, name)
    # A stopped process must not hold a row lock for longer than a third of the lease.
    idle = max(1, env.LEASE_SECONDS // 3)
    options = {
        "application_name": "orbit",
        "connect_timeout": 5,
        "options": f"-c search_path={env.DATABASE_SCHEMA} -c idle_in_transaction_session_timeout={idle}s -c statement_timeout={statement_seconds}s"
        # What is asked for is in memory, or on a disk without a head to move: then a thousand look-ups cost less than reading a large table.
        " -c random_page_cost=1.1",
        # The pipeline's statements are prepared on their second use; Django's own cursors prepare nothing.
        "prepare_threshold": 1,
        **config["OPTIONS"],
    }
    return {
        **config,
        "OPTIONS": options,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }


EMBEDDED = not env.DATABASE_URL
if EMBEDDED:
    _server = postgres.locate(env.VAR_DIR)
    _app_url, _owner_url = _server.url("orbit_app"), _server.url("orbit_owner")
else:
    _app_url, _owner_url = env.DATABASE_URL, env.OWNER_DATABASE_URL or env.DATABASE_URL

DATABASES = {"default": _database(_app_url, "DATABASE_URL", statement_seconds=60)}
OWNER_DATABASE = _database(_owner_url, "ORBIT_OWNER_DATABASE_URL", statement_seconds=0)
if OWNER_DATABASE["NAME"] != DATABASES["default"]["NAME"]:
    raise ImproperlyConfigured(
        "ORBIT_OWNER_DATABASE_URL and DATABASE_URL must name the same database."
    )
