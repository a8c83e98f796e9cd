"""The console's pages of governance."""

from governance.admin import access, records

__all__ = ["access", "records"]
