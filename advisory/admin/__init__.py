"""The console's pages of advice."""

from advisory.admin import autonomy, proposals, signals

__all__ = ["autonomy", "proposals", "signals"]
