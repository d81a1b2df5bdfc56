"""A Job Manager whose every text is an attack: the built-in server, with its words replaced."""

import json
import re
from collections.abc import Mapping
from itertools import cycle
from typing import Any
from urllib.parse import unquote
from zlib import crc32

from jmreport.client import addresses
from jmreport.collectors.demo import Demo

#: Each runs `boom()` where a page lets it. Text contexts, attributes, links, scripts, SVG, CSS.
PAYLOADS = (
    "<script>boom(1)</script>",
    '"><img src=x onerror=boom(2)>',
    "'><svg onload=boom(3)>",
    "javascript:boom(4)",
    "JaVaScRiPt:boom(5)//https://a.example",
    "\tjava\nscript:boom(6)",
    "data:text/html,<script>boom(7)</script>",
    "</script><script>boom(8)</script>",
    "</title><script>boom(9)</script>",
    "</textarea></style></pre><script>boom(10)</script>",
    "{{ boom.__class__ }}{% raw %}",
    "${boom(11)}`;boom(12);//",
    "<!--<script>boom(13)//-->",
    "<a href=javascript:boom(14) autofocus onfocus=boom(15)>x</a>",
    "<math><mi//xlink:href='data:x,<script>boom(16)</script>'>",
    "\u2028boom(17)\u2029//",
    "]]><script>boom(18)</script>",
    "<iframe srcdoc='<script>parent.boom(19)</script>'>",
    "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=javascript:boom(20)'>",
    "\x00\x1b[31mboom\x07\x9b",
    "\u202egnp.exe\u202c",
    "=cmd|' /C calc'!A0",
    "gs://bucket/<script>boom(21)</script>",
    'https://example.org/" onmouseover=boom(22) x="',
    "file:///etc/passwd",
    "<style>*{background:url('https://evil.example/')}</style>",
    "A" * 3000,
    "&lt;script&gt;boom(23)&lt;/script&gt;",
    "<form action=https://evil.example><button autofocus>x",
)

#: Words whose meaning the client needs: dates, statuses, paging.
KEPT = {
    "status", "submission", "start", "end", "time", "timestamp", "lastUpdate", "executionStatus",
    "nextPageToken", "jobId", "parentJobId", "id", "fieldType",
}  # fmt: skip

ASKED_FOR = {"backendLog", "operationId"}

HOSTILE_IDS = ("../../../../etc/passwd", "..", "<script>boom(30)</script>", "a/b?c#d", "CON",
               "%2e%2e%2f", "\x00nul", "é" * 150, "job", "JOB")  # fmt: skip


class Hostile:
    """The built-in server in which every text is a payload, keys of maps included."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.ids: dict[str, str] = {}

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        for fake, real in self.ids.items():
            # A whole segment: "/job" is the beginning of "/jobs" too.
            named = re.escape(addresses.target(fake))
            target = re.sub(rf"{named}(?=[/?]|$)", "/" + real, target)
        if "/jobs/" in target and "%3C" in target:
            target = unquote(target)
        status, answered, raw = self.demo.respond(method, target, headers, body)
        if status != 200 or not raw:
            return status, answered, raw
        words = cycle(PAYLOADS)
        tree = self._poison(json.loads(raw), words)
        if target.endswith("/jobs/query"):
            self._rename(tree["results"])
        answered = {k: v for k, v in answered.items() if k.lower() != "content-length"}
        return status, answered, json.dumps(tree).encode()

    def _rename(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            real = row["id"]
            fake = next((f for f, r in self.ids.items() if r == real), None)
            if fake is None and len(self.ids) < len(HOSTILE_IDS):
                fake = HOSTILE_IDS[len(self.ids)]
                self.ids[fake] = real
            row["id"] = fake or real

    def _poison(self, value: Any, words: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            named = key in ("labels", "inputs", "outputs", "envs", "logs")
            return {
                (f"{name}{next(words)}" if named else name): self._poison(item, words, name)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self._poison(item, words, key) for item in value]
        if isinstance(value, str) and key not in KEPT:
            # Half of the addresses lead to logs and operations, whose texts are attacks in turn.
            return value if key in ASKED_FOR and crc32(value.encode()) & 1 else next(words)
        return value
