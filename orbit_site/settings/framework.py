"""Apps, middleware, templates, databases."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from orbit_site import __version__
from orbit_site.processes import postgres
from orbit_site.settings import database_urls
from orbit_site.settings import environment as env

ORBIT_VERSION = __version__

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
    "drf_spectacular_sidecar",  # static files alone: Swagger UI
    "django_htmx",
    "governance.apps.GovernanceConfig",
    "telemetry.apps.TelemetryConfig",
    "advisory.apps.AdvisoryConfig",
    "orbit.apps.OrbitConfig",
    "django_q",
]

MIDDLEWARE = [
    "governance.rest.request_id.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Behind WhiteNoise: static files may be kept.
    "governance.rest.caching.NoStoreMiddleware",
    "governance.rest.etags.ETagMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "orbit_site.hosts.HostMiddleware",
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
TIME_ZONE = env.ORBIT_TIME_ZONE
LANGUAGE_CODE = "en"
USE_I18N = False
# A module, since Django's formats for a language win over those in settings.
FORMAT_MODULE_PATH = ["orbit_site.formats"]
STATIC_URL = "/static/"
STATICFILES_DIRS = [env.BASE_DIR / "orbit_site" / "static"]
# Serve files from the packages, so that no collectstatic step can be forgotten.
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600
# What browsers ask of the root without a link to it.
WHITENOISE_ROOT = env.BASE_DIR / "orbit_site" / "root"
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"
# The limit of every request's body.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024


def _database(url: str, name: str, *, statement_seconds: int, idle_seconds: int) -> dict[str, Any]:
    config = database_urls.parse(url, name)
    options = {
        "application_name": "orbit",
        "connect_timeout": 5,
        **database_urls.VANISHED_SERVER,
        # Prepare the pipeline's statements on their second use; Django's cursors prepare nothing.
        "prepare_threshold": 1,
        **config["OPTIONS"],
        "options": database_urls.server_options(
            config,
            schema=env.ORBIT_DATABASE_SCHEMA,
            idle_in_transaction_session_timeout=f"{idle_seconds}s",
            statement_timeout=f"{statement_seconds}s",
            # Data is cached or on an SSD: index look-ups beat reading a large table.
            random_page_cost=1.1,
        ),
    }
    return {
        **config,
        "OPTIONS": options,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }


ORBIT_EMBEDDED_DATABASE = not env.DATABASE_URL
if ORBIT_EMBEDDED_DATABASE:
    _server = postgres.locate(env.VAR_DIR)
    _app_url, _owner_url = _server.url("orbit_app"), _server.url("orbit_owner")
else:
    _app_url, _owner_url = env.DATABASE_URL, env.OWNER_DATABASE_URL or env.DATABASE_URL

#: The server's settings that DATABASE_URL has; they win over all of ours.
ORBIT_URL_OPTIONS = database_urls.parse(_app_url, "DATABASE_URL")["OPTIONS"].get("options", "")
DATABASES = {
    "default": _database(
        _app_url,
        "DATABASE_URL",
        statement_seconds=60,
        # A stopped process must not hold a row lock longer than a third of the lease.
        idle_seconds=max(1, env.ORBIT_LEASE_SECONDS // 3),
    )
}
ORBIT_OWNER_DATABASE = _database(
    _owner_url,
    "ORBIT_OWNER_DATABASE_URL",
    statement_seconds=0,
    # A migration computes inside its transaction, for long on a busy machine.
    idle_seconds=600,
)
if env.TELEMETRY_DATABASE_URL:
    DATABASES["telemetry"] = _database(
        env.TELEMETRY_DATABASE_URL,
        "ORBIT_TELEMETRY_DATABASE_URL",
        statement_seconds=60,
        # A batch of events is prepared before its transaction and takes seconds.
        idle_seconds=30,
    )
    # Under other names, `migrate` and the processes find it out.
    if all(
        DATABASES["telemetry"][key] == DATABASES["default"][key] for key in ("HOST", "PORT", "NAME")
    ):
        raise ImproperlyConfigured(
            "ORBIT_TELEMETRY_DATABASE_URL names the database of DATABASE_URL. Name another one, "
            "or unset it to keep telemetry in the main database."
        )
    DATABASE_ROUTERS = ["telemetry.router.Router"]
if ORBIT_OWNER_DATABASE["NAME"] != DATABASES["default"]["NAME"]:
    raise ImproperlyConfigured(
        "ORBIT_OWNER_DATABASE_URL and DATABASE_URL must name the same database."
    )
