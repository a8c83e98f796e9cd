"""The console's pages of governance."""

from governance.admin import access, operations, records

__all__ = ["access", "operations", "records"]
