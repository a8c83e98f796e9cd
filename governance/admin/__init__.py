"""The console's pages of governance."""

from governance.admin import access, access_page, audit, operations, records, tokens
