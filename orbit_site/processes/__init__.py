"""The processes that Orbit consists of."""
