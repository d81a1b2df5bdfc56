"""A Job Manager of the corpus that answers so many requests a second, and counts them.

python -m bench.serving JOBS RATE      prints its address, then what was asked when it is closed
"""

import sys
import time
from collections import Counter
from collections.abc import Mapping
from threading import Lock
from urllib.parse import unquote, urlsplit

import msgspec

from bench import corpus
from jmreport.collectors.demo import serve

_PAGE = 64
_PREFIX = "/api/v1"
Answer = tuple[int, dict[str, str], bytes]


class Limited:
    """The API over the corpus, read only. No answer comes before its turn."""

    def __init__(self, jobs: int, rate: float) -> None:
        self._records = {each.id: each for each in corpus.many(jobs)}
        self._rows = [each.row for each in self._records.values()]
        self._gap, self._turn, self._lock = 1 / rate, 0.0, Lock()
        self.asked: Counter[str] = Counter()

    @property
    def fewest(self) -> int:
        """Requests without which nobody can know all that this server says.

        The pages of the list, a detail for each job, the log and the operation of each failure, the
        capabilities, and its health.
        """
        failed = sum(bool(each.logs) for each in self._records.values())
        return -(-len(self._rows) // _PAGE) + len(self._rows) + 2 * failed + 2

    def respond(self, method: str, target: str, _headers: Mapping[str, str], body: bytes) -> Answer:
        path = urlsplit(target).path.removeprefix(_PREFIX)
        self._wait()
        status, tree = self._answer(method, path, target, body)
        return status, {"Content-Type": "application/json"}, msgspec.json.encode(tree)

    def _wait(self) -> None:
        with self._lock:
            self._turn = max(self._turn + self._gap, time.monotonic())
            left = self._turn - time.monotonic()
        if left > 0:
            time.sleep(left)

    def _answer(self, method: str, path: str, target: str, body: bytes) -> tuple[int, object]:
        kind = f"{method} {path.split('/')[1]}"
        if path == "/jobs/query":
            self.asked["list"] += 1
            return 200, self._page(msgspec.json.decode(body or b"{}"))
        if method == "GET" and (job := self._records.get(unquote(path.rpartition("/")[2]))):
            self.asked["detail"] += 1
            return 200, job.detail
        if path.endswith("/operationDetails"):
            self.asked["operation"] += 1
            return 200, {"details": "exit status 137"}
        if "tail" in path.lower():
            self.asked["log"] += 1
            return 200, {"contents": "the end\n" * 40, "truncated": True}
        self.asked[kind] += 1
        if path == "/capabilities":
            return 200, {"displayFields": [], "commonLabels": ["owner"], "queryExtensions": []}
        if path == "/health":
            return 200, {"available": True}
        return 501, {"title": "Not implemented", "detail": target}

    def _page(self, asked: dict[str, object]) -> dict[str, object]:
        at = int(str(asked.get("pageToken") or 0))
        found: dict[str, object] = {"results": self._rows[at : at + _PAGE]}
        found["totalSize"] = len(self._rows)
        if at + _PAGE < len(self._rows):
            found["nextPageToken"] = str(at + _PAGE)
        return found


def main(jobs: str, rate: str) -> None:
    """Serve until standard input is closed, then print what was asked."""
    limited = Limited(int(jobs), float(rate))
    with serve(limited, port=0) as server:
        server.start()
        print(server.url, limited.fewest, flush=True)
        sys.stdin.read()
    print(msgspec.json.encode(limited.asked).decode(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
