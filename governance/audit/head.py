"""Signed heads: what the chain alone can't show, that its tail was cut, or that all of it was made anew.

Whoever may write every table can recompute every hash. What he can't make is a head with our signature, and what he can't reach are
heads that lie elsewhere: the last line of each export, and one line in the log of each cluster a day. The signature is an HMAC-SHA256 over the
head's RFC 8785 JSON, under a key that is derived from ORBIT_ENCRYPTION_KEYS: the first key signs, all are tried, as with sealed endpoints.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import connection

from governance.audit.verify import BEGINNING, Broken
from governance.kernel.canonical import canonical_json
from governance.kernel.errors import Kind, OrbitError

log = logging.getLogger(__name__)

# The default namespace's own id is made with the installation, and stays with it through a backup.
READ = """SELECT h.sequence, h.hash, clock_timestamp(), (SELECT external_id FROM governance_namespace WHERE name = 'default')
FROM governance_audithead h WHERE h.id = 1"""
HASH_OF = "SELECT hash FROM governance_audittrailentry WHERE id = %s"
_PREFIX = "hmac-sha256:"
_MARK = '"signature"'
_LONGEST_LINE = 100_000


class HeadMissing(OrbitError):
    """There is no signed head in it. Name the file of an export, or a log that has the line of a head."""

    code, kind = "no_audit_head", Kind.INVALID


class HeadForeign(OrbitError):
    """This head's signature isn't one of ours."""

    code, kind = "foreign_audit_head", Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Head:
    """How far the trail went at a moment, and the hash of its last entry then."""

    sequence: int
    hash: str
    at: str
    installation: str

    def document(self) -> dict[str, Any]:
        """Return the head with its signature. Raises ValueError where there is no key."""
        if not settings.ORBIT_ENCRYPTION_KEYS:
            raise ValueError("There is no key to sign a head with.")
        return {**asdict(self), "signature": self._signature(settings.ORBIT_ENCRYPTION_KEYS[0])}

    def refuse_foreign(self, signature: str) -> None:
        """Raise HeadForeign unless one of our keys made ``signature`` for this head."""
        if not any(
            hmac.compare_digest(self._signature(key).encode(), signature.encode())
            for key in settings.ORBIT_ENCRYPTION_KEYS
        ):
            raise HeadForeign(
                f"No key of ORBIT_ENCRYPTION_KEYS made the signature of the head of entry {self.sequence}: it was changed, or it is another's."
            )

    def _signature(self, key: str) -> str:
        secret = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"orbit audit head").derive(
            key.encode()
        )
        return _PREFIX + hmac.new(secret, canonical_json(asdict(self)), hashlib.sha256).hexdigest()


def current() -> Head:
    """Return the head as it is now. Raises Broken where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(READ)
        row = cursor.fetchone()
    if row is None:
        raise Broken("The audit trail has no head.")
    sequence, digest, at, installation = row
    return Head(
        sequence, digest, at.astimezone(UTC).isoformat(timespec="microseconds"), str(installation)
    )


def write_down() -> None:
    """Put the signed head into the log, which lies elsewhere than the trail: each keeper does so each day."""
    found = current().document()
    log.info("The audit trail's head: %s", json.dumps({"head": found}), extra={"audit_head": found})


def find(lines: Iterable[str]) -> list[Head]:
    """Return the signed heads that ``lines`` of an export or of a log hold. Raises HeadMissing where there is none, and HeadForeign."""
    found = []
    for document in _documents(lines):
        try:
            known = {name: document[name] for name in ("sequence", "hash", "at", "installation")}
            head, signature = (
                Head(
                    int(known["sequence"]),
                    str(known["hash"]),
                    str(known["at"]),
                    str(known["installation"]),
                ),
                str(document["signature"]),
            )
        except (KeyError, TypeError, ValueError):
            continue
        head.refuse_foreign(signature)
        found.append(head)
    if not found:
        raise HeadMissing
    return sorted(found, key=lambda head: head.sequence)


def hold(heads: Iterable[Head]) -> None:
    """Hold the trail against heads that were signed before, oldest first. Raises Broken: cut off, or made anew.

    It says nothing about what stands between them: that is for ``verify.walk``.
    """
    good = 0
    for head in heads:
        now = _hash_of(head.sequence)
        if now is None:
            last = current().sequence
            words = (
                f"it ends at entry {last}, the head signed at {head.at} names entry {head.sequence}"
            )
            raise Broken(f"The audit trail's tail is cut off: {words}.", entry=last + 1)
        if now != head.hash:
            raise Broken(
                f"The audit trail was made anew: its entry {head.sequence} isn't the one whose hash was signed at {head.at}. "
                f"An entry between {good + 1} and {head.sequence} was changed, and every later hash recomputed.",
                entry=head.sequence,
            )
        good = head.sequence


def _hash_of(number: int) -> str | None:
    if number == 0:
        return BEGINNING
    with connection.cursor() as cursor:
        cursor.execute(HASH_OF, [number])
        row = cursor.fetchone()
    return row[0] if row else None


def _documents(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield what may be a head: the object in a line, or what it calls its head."""
    reader = json.JSONDecoder()
    for line in lines:
        if _MARK not in line or len(line) > _LONGEST_LINE:
            continue
        try:
            found, _ = reader.raw_decode(line, line.index("{"))
        except ValueError:
            continue
        for inner in (found, found.get("head"), found.get("audit_head")):
            if isinstance(inner, dict) and "signature" in inner:
                yield inner
