"""A Job Manager that gives secrets away wherever it can, and the list of what it gives away.

Every canary is a text of its own, so that one which is found somewhere names its way there.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

TOKEN = "canary-own-token-7Qx2"  # noqa: S105 - it opens nothing
HEADER = "canary-own-header-9Lw4"
PASSWORD = "canary-own-password-3Zt8"  # noqa: S105 - it opens nothing
#: Samples are no secrets by their look: the settings hash them.
SAMPLE = "CANARYNA12878"
SAMPLE_OF_GROUP = "CANARYNA20000"
#: Set in the settings: a key's word, and a pattern.
WORD, PATTERN = "patient", r"canary-mrn-\d+"
#: Given away by name or by shape; `{}` is where the canary's own name stands.
_JWT_HEAD = base64.urlsafe_b64encode(b'{"alg":"HS256"}').decode().rstrip("=")


class Planted:
    """Makes canaries, and remembers them: `found` is every text that no file may hold."""

    def __init__(self) -> None:
        self.all: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        """A canary that names its place, long enough for every shape."""
        number = len(self.all) + 1
        return self.all.setdefault(place, f"canary0{number:03d}x{place.replace(' ', '')}0123456789")

    def jwt(self, place: str) -> str:
        return f"{_JWT_HEAD}.{self(place)}.{self(place + ' signature')}"

    def github(self, place: str) -> str:
        found = "ghp_" + "".join(c for c in self(place) if c.isalnum()) + "A" * 12
        self.all[place] = found
        return found


class Canaries:
    """Answers like a Job Manager with one broken, one failed and one running job."""

    def __init__(self, mode: str = "whole") -> None:
        self.mode = mode
        self.planted = Planted()
        self.sent: list[bytes] = []
        self.asked: list[tuple[str, str]] = []

    def respond(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,  # noqa: ARG002 - the server's signature
    ) -> tuple[int, dict[str, str], bytes]:
        path = target.partition("?")[0].removeprefix("/api/v1")
        self.asked.append((method, target))
        status, kind, answer = self._answer(path, {k.lower(): v for k, v in headers.items()})
        more = {}
        if status == 307:
            more["Location"] = str(answer)
            answer = ""
        raw = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.sent.append(raw + str(more).encode())
        return status, {"Content-Type": kind, **more}, raw

    def sent_all(self) -> str:
        """Every body and every redirect that was sent."""
        return b"\n".join(self.sent).decode()

    def _answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, str, Any]:
        plant = self.planted
        said = headers.get("authentication", "") + " " + headers.get("x-team-key", "")
        said += " " + headers.get("authorization", "")
        if self.mode == "401" and path != "/health":
            return 401, PROBLEM, _problem(f"no: {said}, password={plant('refusal')}", 401)
        if self.mode == "500" and path == "/jobs/query":
            return 500, "text/plain", f"Traceback: {said} db_password='{plant('outage')}'"
        if self.mode == "redirect" and path == "/jobs/query":
            return 307, "text/plain", f"http://u:{plant('elsewhere')}@127.0.0.1/x?token={said}"
        if self.mode == "html" and path == "/jobs/query":
            return 200, "text/html", f"<html>{said} token={plant('page')}</html>"
        if path == "/jobs/query":
            return 200, JSON, {"results": list(self._rows(said)), "totalSize": 4}
        answers: dict[str, Callable[[], tuple[int, str, Any]]] = {
            "/health": lambda: (500, "text/plain", f"engine: token={plant('health')}; {said}"),
            "/capabilities": lambda: (200, JSON, self._capabilities()),
            "/aggregations": lambda: (200, JSON, self._aggregations()),
            "/jobs/operationDetails": lambda: (200, JSON, self._operation()),
            "/jobs/tailFile": lambda: (200, JSON, self._tail(said)),
            "/jobs/failed": lambda: (200, JSON, self._failed(said)),
            "/jobs/running": lambda: (200, JSON, self._running()),
            "/jobs/broken": lambda: (
                500, PROBLEM,
                _problem(f"{said}; Bearer {plant('error body')} token={plant('error')}", 500),
            ),
            "/jobs/moved": lambda: (
                307, "text/plain", f"http://u:{plant('redirect')}@127.0.0.1/j?sig={plant('to')}",
            ),
        }  # fmt: skip
        if path in answers:
            return answers[path]()
        if path.endswith("/attempts"):
            return 200, JSON, self._attempts()
        return 404, PROBLEM, _problem("no such thing", 404)

    def _capabilities(self) -> Any:
        plant = self.planted
        return {
            "displayFields": [
                {"field": "name", "display": f"Name token={plant('display')}", "primary": True},
                {"field": "labels.sample", "display": "Sample"},
                {"field": "labels.api_token", "display": "Token"},
                {"field": "status", "display": "Status"},
            ],
            "commonLabels": ["sample", "api_token", "owner"],
            "aggregationTimeFrames": ["DAYS_7"],
            "apiKey": plant("capabilities"),
        }

    def _rows(self, said: str) -> Iterator[Any]:
        plant = self.planted
        common = {"submission": "2026-11-22T10:00:00+00:00", "start": "2026-11-22T10:01:00+00:00"}
        yield {
            **common,
            "id": "failed",
            "name": f"align {SAMPLE} token={plant('job name')}",
            "status": "Failed",
            "end": "2026-11-22T11:00:00+00:00",
            "labels": {
                "sample": SAMPLE,
                "api_token": plant("label"),
                "patient_id": plant("own word"),
                f"x=https://u:{plant('label key')}@h": "v",
                "note": "canary-mrn-12345",
                "owner": "ana",
            },
            "extensions": {"userId": "ana", "statusDetail": f"password={plant('status detail')}"},
        }
        for job in ("running", "broken", "moved"):
            status = "Running" if job == "running" else "Failed"
            end = {} if job == "running" else {"end": "2026-11-22T11:00:00+00:00"}
            yield {**common, **end, "id": job, "name": "other", "status": status, "echo": said}

    def _failed(self, said: str) -> Any:
        plant = self.planted
        root = f"gs://bucket/{SAMPLE}/call-Align"
        return {
            **next(self._rows(said)),
            "inputs": {
                "wf.sample": SAMPLE,
                "wf.db_password": plant("input"),
                "wf.nested": {"secrets": [{"any": plant("nested input")}]},
                "wf.url": f"https://s.example/o?X-Goog-Signature={plant('signed google')}&x=1",
                "wf.sas": f"https://s.example/o?se=1&sig={plant('signed azure')}",
                "wf.s3": f"https://s.example/o?X-Amz-Signature={plant('signed amazon')}",
                "wf.command": f"run --password={plant('command')} --api-key {plant('flag')} x",
            },
            "outputs": {"wf.connection_string": plant("output")},
            "failures": [
                {
                    "failure": f"{SAMPLE} failed: Authorization: Bearer {plant('failure')}",
                    "taskName": "Align",
                    "backendLog": f"{root}/Align.log",
                    "callRoot": f"{root}?sig={plant('call root')}",
                    "operationId": "projects/p/operations/1",
                    "timestamp": "2026-11-22T11:00:00+00:00",
                }
            ],
            "unknownSecret": plant("unknown field"),
            "extensions": {
                "tasks": [
                    {
                        "name": "Align",
                        "executionStatus": "Failed",
                        "start": "2026-11-22T10:02:00+00:00",
                        "end": "2026-11-22T10:59:00+00:00",
                        "attempts": 2,
                        "callRoot": root,
                        "backendLog": f"{root}/Align.log",
                        "operationId": "projects/p/operations/1",
                        "failureMessages": [f"key {plant.github('failure message')}"],
                        "inputs": {"token": plant("task input")},
                        "executionEvents": [
                            {"name": f"docker login --password {plant('event')}",
                             "start": "2026-11-22T10:02:00+00:00",
                             "end": "2026-11-22T10:03:00+00:00"}
                        ],
                    }
                ],
                "envs": {"API_TOKEN": plant("environment"), "HOME": "/root"},
                "events": [{"name": f"cookie: sid={plant('cookie')}", "startTime": "2026-11-22"}],
                "sourceFile": f"command <<< export AWS_SECRET_ACCESS_KEY='{plant('source')}' >>>",
                "logs": {"Error Log": f"gs://bucket/{SAMPLE}.err"},
                "statusDetail": f"db_password: {plant('detail of status')}",
            },
        }  # fmt: skip

    def _running(self) -> Any:
        job = {"id": "running", "name": "other", "status": "Running", "labels": {}}
        return {
            **job,
            "submission": "2026-11-22T10:00:00+00:00",
            "start": "2026-11-22T10:01:00+00:00",
            "inputs": [{"name": "DB_PASSWORD", "value": self.planted("pair")}],
        }

    def _attempts(self) -> Any:
        plant = self.planted
        attempt = {
            "attemptNumber": 1,
            "executionStatus": "Failed",
            "inputs": {"wf.Align.accessToken": plant("attempt input")},
            "failureMessages": [f"Basic {_basic('u', plant('attempt message'))}"],
            "callRoot": f"gs://bucket/{SAMPLE}/call-Align",
            "start": "2026-11-22T10:02:00+00:00",
            "end": "2026-11-22T10:30:00+00:00",
        }
        return {"attempts": [attempt, {**attempt, "attemptNumber": 2}]}

    def _tail(self, said: str) -> Any:
        plant = self.planted
        lines = (
            f"export AWS_SECRET_ACCESS_KEY={plant('log export')}",
            f"jwt {plant.jwt('log jwt')} refused",
            f"-----BEGIN RSA PRIVATE KEY-----\n{plant('private key')}",
            "-----END RSA PRIVATE KEY-----",
            f"psql postgres://jm:{plant('dsn')}@db.example/jobs",
            f"env: [{{'name': 'DB_PASSWORD', 'value': '{plant('log pair')}'}}]",
            f"sample {SAMPLE} done, echo {said}",
        )
        return {"contents": "\n".join(lines), "truncated": False}

    def _operation(self) -> Any:
        plant = self.planted
        inner = {
            "environment": {"DB_PASSWORD": plant("operation"), "SAMPLE": SAMPLE},
            "commands": [f"curl -H 'Authorization: Bearer {plant('operation header')}'"],
        }
        return {"id": "failed", "details": json.dumps(inner)}

    def _aggregations(self) -> Any:
        counts = {"statusCounts": {"counts": [{"status": "Failed", "count": 1}]}}
        groups = {"sample": SAMPLE_OF_GROUP, "api_token": self.planted("aggregation")}
        return {
            "summary": counts["statusCounts"],
            "aggregations": [
                {"key": key, "name": key, "entries": [{"label": label, **counts}]}
                for key, label in groups.items()
            ],
        }


JSON, PROBLEM = "application/json", "application/problem+json"


def _problem(detail: str, status: int) -> Any:
    return {"type": "about:blank", "title": "Bad", "detail": detail, "status": status}


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()
