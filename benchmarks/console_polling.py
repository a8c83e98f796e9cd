"""What open dashboards cost: the CPU time of the web server and PostgreSQL.

``python -m benchmarks.console_polling PID SECONDS`` starts a web server on the environment's
database, whose PostgreSQL has that process id. Ten users' dashboards ask as a browser does: for the
page every 2 or 15 s, and for the banners if those of the page are 4 s old. It prints JSON.
"""

import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import django

from benchmarks import meters
from benchmarks.testbed import Testbed, answers, end, free_port, until

DASHBOARDS, BANNERS_EVERY = 10, 4.0
INTERVALS = (15.0, 2.0)
GOAL_PERCENT = 5
SETTLE = 4
LOOK = re.compile(rb'data-look="(\w+)"')


@dataclass(frozen=True, slots=True)
class Polling:
    """Percent of a core at one interval, beside the same server with no page open."""

    every: float
    web: float
    database: float
    idle: float
    answers: int
    #: Answers that said that nothing is new.
    unchanged: int

    @property
    def cost(self) -> float:
        """What the open pages add."""
        return self.web + self.database - self.idle


def measure(testbed: Testbed, *, database: str, seconds: float) -> list[Polling]:
    """Measure on ``database``, at each interval for ``seconds``."""
    words = (str(testbed.server_pid), str(seconds))
    done = testbed.measured("console_polling", *words, database=database)
    return [Polling(**each) for each in done]


def lines(results: list[Polling]) -> list[str]:
    """Return the result as lines of a table."""
    return [
        "",
        f"{DASHBOARDS} open dashboards, their banners at most {BANNERS_EVERY:g} s old: CPU time of "
        "web server and PostgreSQL in % of a core",
        *(
            f"every {result.every:>4g} s{result.cost:>8.2f} %   "
            f"(web server {result.web:.2f} %, PostgreSQL {result.database:.2f} %, "
            f"no page open {result.idle:.2f} %; "
            f"{'goal met' if result.cost < GOAL_PERCENT else 'GOAL MISSED'}: below "
            f"{GOAL_PERCENT} %; {result.unchanged} of {result.answers} looks were unchanged)"
            for result in results
        ),
    ]


def main() -> None:
    server, seconds = int(sys.argv[1]), float(sys.argv[2])
    django.setup()
    cookies = _sessions()
    port = free_port()
    web = subprocess.Popen(
        [sys.executable, "manage.py", "web"],
        env={**os.environ, "PORT": str(port)},
        stdout=sys.stderr,
    )
    try:
        until(lambda: answers(port, "/health"), "the web server answers", seconds=120)
        idle = sum(_percent((web.pid, server), seconds / 2))
        print(
            json.dumps([_poll(web.pid, server, port, cookies, e, seconds, idle) for e in INTERVALS])
        )
    finally:
        end(web)


def _sessions() -> list[str]:
    from tests.support import callers

    names = [f"watcher-{number}" for number in range(DASHBOARDS)]
    browsers = [callers.console(callers.create_user(name, "Administrator")) for name in names]
    return [
        "; ".join(f"{cookie.key}={cookie.value}" for cookie in browser.cookies.values())
        for browser in browsers
    ]


def _poll(
    web: int, server: int, port: int, cookies: list[str], every: float, seconds: float, idle: float
) -> dict[str, float]:
    """Let all dashboards ask; return what it cost."""
    over = threading.Event()
    dashboards = [Dashboard(port, cookie) for cookie in cookies]
    threads = [
        threading.Thread(target=dashboard.watch, args=(every, place / len(dashboards), over))
        for place, dashboard in enumerate(dashboards)
    ]
    for thread in threads:
        thread.start()
    time.sleep(SETTLE)
    for dashboard in dashboards:
        dashboard.statuses.clear()
    web_percent, database_percent = _percent((web, server), seconds)
    alive = [thread.is_alive() for thread in threads]
    over.set()
    for thread in threads:
        thread.join()
    statuses = [status for dashboard in dashboards for status in dashboard.statuses]
    if set(statuses) - {200, 204} or not all(alive):
        raise RuntimeError(f"{sum(alive)} dashboards still ask; answers: {sorted(set(statuses))}")
    return {
        "every": every,
        "web": web_percent,
        "database": database_percent,
        "idle": idle,
        "answers": len(statuses),
        "unchanged": statuses.count(204),
    }


def _percent(pids: Sequence[int], seconds: float) -> list[float]:
    before, began = list(map(meters.cpu_seconds, pids)), time.monotonic()
    time.sleep(seconds)
    spent = [
        after - earlier
        for after, earlier in zip(map(meters.cpu_seconds, pids), before, strict=True)
    ]
    return [100 * each / (time.monotonic() - began) for each in spent]


class Dashboard:
    """An open dashboard, as the browser's script keeps it fresh."""

    def __init__(self, port: int, cookie: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.cookie = cookie
        #: What the browser has of the page, and of the banners.
        self.page, self.banners = "", ""
        self.statuses: list[int] = []

    def watch(self, every: float, phase: float, over: threading.Event) -> None:
        """Ask for the page at its interval, and for banners that grow old, until ``over``."""
        next_page = time.monotonic() + phase * every
        next_banners = time.monotonic() + phase * BANNERS_EVERY
        while not over.wait(max(0.0, min(next_page, next_banners) - time.monotonic())):
            if next_page <= next_banners:
                next_page += every
                status, body = self.get("/admin/", self.page)
                self.statuses.append(status)
                if looks := LOOK.findall(body):
                    self.page, self.banners = (look.decode() for look in looks)
            else:
                _, body = self.get("/admin/banners/", self.banners)
                if looks := LOOK.findall(body):
                    # What the page shows now, it didn't get at once.
                    self.page, self.banners = "", looks[0].decode()
            next_banners = time.monotonic() + BANNERS_EVERY

    def get(self, path: str, look: str) -> tuple[int, bytes]:
        """Return status and body, empty if the browser's ``look`` still holds."""
        headers = {"Cookie": self.cookie, "HX-Request": "true", "X-Look": look}
        self.connection.request("GET", path, headers=headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


if __name__ == "__main__":
    main()
