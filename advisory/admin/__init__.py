"""The console's pages of advice."""

from advisory.admin import autonomy, policies, proposals, signals
