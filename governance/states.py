"""The states of governance."""

from enum import StrEnum


class Mode(StrEnum):
    """What a namespace may do: run, finish what runs (draining), or nothing (halting until nothing is in flight, then quiet)."""

    RUNNING = "running"
    DRAINING = "draining"
    HALTING = "halting"
    QUIET = "quiet"
