"""Profiles, cycles, the pipeline and dispatch."""
