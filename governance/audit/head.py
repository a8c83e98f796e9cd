"""Signed heads prove that the chain was neither cut nor rebuilt.

A database superuser can recompute every hash, but can't forge a signature or reach the heads in
exports and logs.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any

from django.conf import settings

from governance.audit.verify import BEGINNING, Broken
from governance.kernel import derived_keys, sql
from governance.kernel.canonical import canonical_json
from governance.kernel.errors import Kind, OrbitError
from governance.models import AuditTrailEntry

log = logging.getLogger(__name__)

READ_HEAD = sql.load(__name__, "read_head")

_PREFIX = "hmac-sha256:"
_MARK = '"signature"'
_LONGEST_LINE = 100_000


class HeadMissing(OrbitError):
    """The file has no signed head. Name an export, or a log that holds the line of a head."""

    code, kind = "no_audit_head", Kind.INVALID


class HeadForeign(OrbitError):
    """This head's signature isn't one of ours."""

    code, kind = "foreign_audit_head", Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Head:
    """The number and hash of the last entry at a moment."""

    sequence: int
    hash: str
    at: str
    installation: str

    def to_dict(self) -> dict[str, Any]:
        """Return the head, signed by the first key. Raises ValueError without one."""
        if not settings.ORBIT_ENCRYPTION_KEYS:
            raise ValueError("There is no key to sign a head with.")
        return {**asdict(self), "signature": self._signature(settings.ORBIT_ENCRYPTION_KEYS[0])}

    def ensure_ours(self, signature: str) -> None:
        """Raise HeadForeign unless one of our keys made ``signature``."""
        if not any(
            hmac.compare_digest(self._signature(key).encode(), signature.encode())
            for key in settings.ORBIT_ENCRYPTION_KEYS
        ):
            raise HeadForeign(
                f"No key of ORBIT_ENCRYPTION_KEYS signed the head of entry {self.sequence}: "
                "it was changed, or it belongs to another installation."
            )

    def _signature(self, key: str) -> str:
        secret = derived_keys.derive(key, "orbit audit head")
        return _PREFIX + hmac.new(secret, canonical_json(asdict(self)), hashlib.sha256).hexdigest()


def current() -> Head:
    """Return the current head. Raises Broken if there is none."""
    row = READ_HEAD.one()
    if row is None:
        raise Broken("The audit trail has no head.")
    sequence, digest, at, installation = row
    return Head(
        sequence, digest, at.astimezone(UTC).isoformat(timespec="microseconds"), str(installation)
    )


def log_head() -> None:
    """Write the signed head to the log, which is kept apart from the trail."""
    head = current().to_dict()
    log.info("The audit trail's head: %s", json.dumps({"head": head}), extra={"audit_head": head})


def find(lines: Iterable[str]) -> list[Head]:
    """Return the heads in an export or log, oldest first. Raises HeadMissing, HeadForeign."""
    heads = []
    for document in _candidates(lines):
        try:
            head = Head(
                sequence=_number(document["sequence"]),
                hash=_text(document["hash"]),
                at=_text(document["at"]),
                installation=_text(document["installation"]),
            )
            signature = _text(document["signature"])
        except (KeyError, TypeError, ValueError):  # another signed document
            continue
        head.ensure_ours(signature)
        heads.append(head)
    if not heads:
        raise HeadMissing
    return sorted(heads, key=lambda head: head.sequence)


def ensure_contains(heads: Iterable[Head]) -> None:
    """Raise Broken if ``heads`` show that the trail was cut or rebuilt."""
    last_good = 0
    for head in heads:
        stored = _stored_hash(head.sequence)
        if stored is None:
            last = current().sequence
            raise Broken(
                f"The audit trail's tail is cut off: it ends at entry {last}, "
                f"the head signed at {head.at} names entry {head.sequence}.",
                entry=last + 1,
            )
        if stored != head.hash:
            raise Broken(
                f"The audit trail was rebuilt: its entry {head.sequence} isn't the one whose hash "
                f"was signed at {head.at}. An entry between {last_good + 1} and {head.sequence} "
                "was changed, and every later hash recomputed.",
                entry=head.sequence,
            )
        last_good = head.sequence


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 53:  # JSON's own limit
        raise ValueError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # half a surrogate pair is a ValueError, too
    return value


def _stored_hash(number: int) -> str | None:
    if number == 0:
        return BEGINNING
    return AuditTrailEntry.objects.filter(pk=number).values_list("hash", flat=True).first()


def _candidates(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield what may be a head, of an export or a log."""
    decoder = json.JSONDecoder()
    for line in lines:
        if _MARK not in line or len(line) > _LONGEST_LINE:
            continue
        try:
            document, _ = decoder.raw_decode(line, line.index("{"))
        except ValueError:
            continue
        for candidate in (document, document.get("head"), document.get("audit_head")):
            if isinstance(candidate, dict) and "signature" in candidate:
                yield candidate
