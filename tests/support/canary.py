"""Canary secrets: planted where Orbit keeps secrets, found in any spelling."""

import base64
import html
import json
import secrets
import string
from urllib.parse import quote, quote_plus


def planted(length: int = 40) -> str:
    """Return a new secret that occurs nowhere else."""
    return "canary" + "".join(
        secrets.choice(string.ascii_letters + string.digits) for _ in range(length - 6)
    )


class Cage:
    """Searches texts for secrets."""

    def __init__(self, **secrets: str) -> None:
        self._forms = {name: _forms(secret) for name, secret in secrets.items()}
        self.searched = 0

    def add(self, name: str, secret: str) -> None:
        """Search for ``secret`` too."""
        self._forms[name] = _forms(secret)

    def look(self, place: str, text: bytes | str) -> list[str]:
        """Return the secrets in ``text``, each with ``place``."""
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        self.searched += len(data)
        return [
            f"{name} in {place}"
            for name, forms in self._forms.items()
            if any(form in data for form in forms)
        ]


def _forms(secret: str) -> set[bytes]:
    """Return the spellings of ``secret``."""
    raw = secret.encode()
    # Its middle too: encodings may merge its ends with their neighbours.
    forms = {raw, raw[8:24], raw.hex().encode(), raw.hex().upper().encode(), raw[::-1]}
    forms |= {
        text.encode()
        for text in (
            quote(secret, safe=""),
            quote_plus(secret),
            html.escape(secret),
            json.dumps(secret)[1:-1],
        )
    }
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # Only whole groups of three bytes, which don't depend on their neighbours.
            forms.add(encode(raw[before : before + (len(raw) - before) // 3 * 3]))
    return forms
