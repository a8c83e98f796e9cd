"""Keys, hosts, cookies, content security policy."""

import secrets
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from governance.kernel import files
from orbit.outbound import addresses
from orbit.outbound import secrets as sealing
from orbit_site.settings import environment as env


def _kept_secret(path: Path) -> str:
    """Return the secret in ``path``; create it if it is missing."""
    try:
        files.make_private(path.parent, "backups")
        files.create_whole(path, secrets.token_urlsafe(64))
    except OSError as exc:
        raise ImproperlyConfigured(
            f"Can't write {path}: {exc.strerror}. "
            + files.remedy(exc, "Make the folder writable, or set ORBIT_SECRET_KEY.")
        ) from exc
    try:
        secret = path.read_text(encoding="ascii").strip()
    except OSError as exc:
        raise ImproperlyConfigured(
            f"Can't read {path}: {exc.strerror}. Run as its owner, or set ORBIT_SECRET_KEY."
        ) from exc
    except UnicodeDecodeError:
        secret = ""
    if not secret:
        raise ImproperlyConfigured(
            f"{path} holds no key. Put back its content from a copy; without one remove the file: "
            "a new key is made, all have to log in again, and what the old one sealed is lost."
        )
    return secret


try:
    addresses.rules(tuple(env.ORBIT_DISPATCH_ALLOWED_HOSTS))
except addresses.Refused as refused:
    raise ImproperlyConfigured(refused.detail) from None
SECRET_KEY = env.SECRET_KEY or _kept_secret(env.VAR_DIR / "secret-key")
ORBIT_ENCRYPTION_KEYS = env.ORBIT_ENCRYPTION_KEYS or [sealing.derive_key(SECRET_KEY)]
ORBIT_KEYS_ARE_DERIVED = not env.ORBIT_ENCRYPTION_KEYS
DEBUG = False
ALLOWED_HOSTS = env.ALLOWED_HOSTS or ["localhost", "127.0.0.1", "[::1]"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
CSRF_TRUSTED_ORIGINS = env.ORBIT_TRUSTED_ORIGINS
CSRF_FAILURE_VIEW = "orbit_site.error_pages.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31536000 if env.PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.PRODUCTION
# The proxy that terminates TLS redirects; a redirect here would break its health checks.
SECURE_SSL_REDIRECT = False
# The web server decides, by ORBIT_TRUSTED_PROXIES; Django would trust the header of any client.
SECURE_PROXY_SSL_HEADER = None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.PRODUCTION
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SILENCED_SYSTEM_CHECKS = ["security.W008"]
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
AUTHENTICATION_BACKENDS = ["governance.access.lockout.GuardedBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
