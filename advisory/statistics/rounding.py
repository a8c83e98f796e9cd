"""Numbers as text."""

from decimal import ROUND_DOWN, Decimal


def down(number: float, places: int) -> str:
    """Return ``number`` >= 0 with so many decimal places, never rounded up: 0.9999 isn't 1.00."""
    return str(Decimal(repr(number)).quantize(Decimal(1).scaleb(-places), ROUND_DOWN))
