"""The console's pages of orbit."""

from orbit.admin import cycles, dead_letters, dispatch, pipeline, profiles, records

__all__ = ["cycles", "dead_letters", "dispatch", "pipeline", "profiles", "records"]
