"""The console's pages of orbit."""

from orbit.admin import cycles, dead_letters, dispatch, pause, pipeline, profiles, records, schedules

__all__ = ["cycles", "dead_letters", "dispatch", "pause", "pipeline", "profiles", "records", "schedules"]
