"""A secret that is looked for: planted where Orbit keeps its own, found in whatever spelling it comes out."""

import base64
import html
import json
import secrets
import string
from urllib.parse import quote, quote_plus


def planted(length: int = 40) -> str:
    """Return a new secret, of letters and digits, which no other text holds."""
    return "canary" + "".join(
        secrets.choice(string.ascii_letters + string.digits) for _ in range(length - 6)
    )


class Cage:
    """The secrets by their names, and what is searched for them."""

    def __init__(self, **secrets: str) -> None:
        self._forms = {name: _forms(secret) for name, secret in secrets.items()}
        self.searched = 0

    def add(self, name: str, secret: str) -> None:
        """Look for ``secret`` too, from now on."""
        self._forms[name] = _forms(secret)

    def look(self, place: str, text: bytes | str) -> list[str]:
        """Return what was found at ``place``: the secret's name and the place, never the secret."""
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        self.searched += len(data)
        return [
            f"{name} in {place}"
            for name, forms in self._forms.items()
            if any(form in data for form in forms)
        ]


def _forms(secret: str) -> set[bytes]:
    """Return the spellings of ``secret``; the middle of it will do, for its ends may be swallowed by an encoding."""
    raw = secret.encode()
    found = {raw, raw[8:24], raw.hex().encode(), raw.hex().upper().encode(), raw[::-1]}
    found |= {
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
            # Whole groups of three bytes only, which no neighbour has a part in.
            found.add(encode(raw[before : before + (len(raw) - before) // 3 * 3]))
    return found
