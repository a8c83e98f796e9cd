"""The processes of Orbit."""
