"""A server that counts what it gave, takes its time, and may go away."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote

from jmreport.analysis import summarise
from jmreport.collectors.demo import Demo
from jmreport.snapshots import Store


class Counting:
    """A server that counts whose details it gave, takes its time, and may go away."""

    def __init__(self, demo: Demo, *, seconds: float = 0.0) -> None:
        self.demo = demo
        self.seconds = seconds
        self.details: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.lock = threading.Lock()
        #: Called with the number of details given so far, before each answer.
        self.before: Callable[[int], None] | None = None
        self.gone: tuple[int, dict[str, str], bytes] | None = None

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if self.before is not None:
            self.before(self.details.total())
        if self.gone is not None:
            return self.gone
        status, answered, raw = self.demo.respond(method, target, headers, body)
        path = target.partition("?")[0].removeprefix("/api/v1")
        if status == 200 and method == "GET" and path.startswith("/jobs/"):
            time.sleep(self.seconds)
            job = unquote(path.removeprefix("/jobs/"))
            with self.lock:
                if "/" not in job and job not in ("tailFile", "operationDetails"):
                    self.details[job] += 1
                else:
                    self.others[target] += 1
        return status, answered, raw

    def twice(self, store: Path) -> set[str]:
        """The finished jobs whose detail was given more than once."""
        with Store.open(store, summarise=summarise) as opened:
            ended = {entry.row.id for entry in opened.entries() if not entry.row.active}
        return {job for job, times in self.details.items() if times > 1 and job in ended}
