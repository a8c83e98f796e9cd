"""The console's pages of governance."""

from governance.admin import access, audit, operations, records, tokens
