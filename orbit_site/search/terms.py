"""What was typed, read as the forms that it may have."""

import re
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.db.models import Q

from governance.kernel import pg_text

#: No id, hash or key is longer; of an error's text so much is compared.
LONGEST = 200
#: Shorter beginnings of ids fit too much.
SHORTEST_BEGINNING, SHORTEST_TEXT = 6, 3
_HEX, _ULID = re.compile(r"[0-9a-f]+"), re.compile(r"[0-9A-HJKMNP-TV-Z]+")
_DASHED = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{0,4}){0,3}(-[0-9a-f]{0,12})?")
_NUMBER = re.compile(r"[0-9]{1,18}")


class Form(StrEnum):
    """The form of what is compared."""

    UUID = "uuid"
    ULID = "ulid"
    SHA256 = "sha256"
    NUMBER = "number"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Term:
    """A text to look for."""

    text: str
    was_cut: bool = False

    @classmethod
    def read(cls, text: str) -> "Term":
        """Return the term of what was typed; it may be of any length and hold anything."""
        clean = " ".join(pg_text.clean(text[: LONGEST * 2]).split())
        return cls(clean[:LONGEST], len(text.strip()) > LONGEST)

    @property
    def uuid(self) -> UUID | None:
        """The whole UUID, if it is one."""
        digits = self._digits
        return UUID(digits) if len(digits) == 32 else None

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole id or hash, which is either found or not there."""
        return self.uuid is not None or len(self._digits) == 64 or len(self._ulid) == 26

    def condition(self, form: Form, field: str) -> Q | None:
        """Return what rows fulfil whose ``field`` this is, or begins with; None if it can't be.

        Each condition is an index look-up, or a range of an index.
        """
        digits = self._digits
        if form == Form.UUID and SHORTEST_BEGINNING <= len(digits) <= 32:
            if len(digits) == 32:
                return Q(**{field: UUID(digits)})
            first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
            return Q(**{f"{field}__gte": first, f"{field}__lte": last})
        if form == Form.ULID and SHORTEST_BEGINNING <= len(self._ulid) <= 26:
            return Q(**{f"{field}__gte": self._ulid, f"{field}__lte": self._ulid + "~"})
        if form == Form.SHA256 and len(digits) == 64:
            return Q(**{field: digits})
        if form == Form.NUMBER and _NUMBER.fullmatch(self.text):
            return Q(**{field: int(self.text)})
        if form == Form.KEY and self.text:
            return Q(**{field: self.text})
        return None

    @property
    def _digits(self) -> str:
        text = self.text.lower()
        if _DASHED.fullmatch(text):
            text = text.replace("-", "")
        return text if _HEX.fullmatch(text) else ""

    @property
    def _ulid(self) -> str:
        text = self.text.upper()
        return text if _ULID.fullmatch(text) else ""
