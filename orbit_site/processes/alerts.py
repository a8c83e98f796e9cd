"""Sends messages about alerts and the heartbeat, on a thread of the maintenance process.

A thread of the first web process looks for what no cluster can report: that none is running. It
sends messages only as long as that is so.
"""

from orbit.alerts import heartbeat, send
from orbit.cycles import maintenance
from orbit_site import alerting
from orbit_site.processes.background import IDLE_SECONDS, Background

#: Without a cluster, nothing wakes the web server's thread.
SECOND = 1.0
#: A round sends some messages, each within its endpoint's time.
ROUND_SECONDS = 900.0
#: The web server looks so often for a cluster.
LOOK_SECONDS = 15.0
#: After so many looks without a cluster there is none: a restart takes no longer.
LOOKS = 3


def sender() -> Background:
    """Return maintenance's thread, not started."""
    return Background("alerts", "Can't send alerts", _send, longest_round=ROUND_SECONDS)


def cluster_watch() -> Background:
    """Return the web server's thread, not started."""
    watch = ClusterWatch()
    failure = "Can't look for a cluster"
    return Background("cluster watch", failure, watch.look, longest_round=ROUND_SECONDS)


class ClusterWatch:
    """How often in a row a web process saw no cluster."""

    def __init__(self, looks: int = LOOKS) -> None:
        self._looks, self._missed = looks, 0

    def look(self, thread: Background) -> float:
        """Look for a cluster; raise the alert and send it if there is none."""
        if maintenance.cluster_is_alive():
            # Its own evaluation resolves the alert.
            self._missed = 0
            return LOOK_SECONDS
        self._missed += 1
        if self._missed < self._looks:
            return LOOK_SECONDS
        alerting.watch_cluster()
        return SECOND if send.send_due(is_ending=thread.is_ending) else LOOK_SECONDS


def _send(thread: Background) -> float:
    # A receiver of alerts that hangs must not delay the ping.
    tried = send.send_due(is_ending=thread.is_ending, between=heartbeat.ping_if_due)
    return 0.0 if tried == send.MOST else IDLE_SECONDS
