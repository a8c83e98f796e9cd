"""The console's pages of advice."""

from advisory.admin import proposals, signals

__all__ = ["proposals", "signals"]
