"""Fragments about the cycles that ran with the revision that an approval made."""

from governance.kernel import sql

FIRST_ID = sql.fragment(__name__, "first_id")
DOCUMENT_OF = sql.fragment(__name__, "document_of")
RUN_PROFILES_OF = sql.fragment(__name__, "run_profiles_of")
RAN_WITH_APPLIED = sql.fragment(__name__, "ran_with_applied")
