"""The console's pages of advice."""

from advisory.admin import autonomy

__all__ = ["autonomy"]
