"""The console's pages of orbit."""

from orbit.admin import cycles, dispatch, pipeline, profiles, records

__all__ = ["cycles", "dispatch", "pipeline", "profiles", "records"]
