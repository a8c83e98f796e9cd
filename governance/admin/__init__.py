"""The console's pages of governance."""

from governance.admin import access, namespaces, operations, records

__all__ = ["access", "namespaces", "operations", "records"]
