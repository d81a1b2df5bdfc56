"""Sending what is planned: a stage after the other, each by several threads at a time."""

import hashlib
import threading
from collections.abc import Callable

from msgspec import Struct

from jmreport.bucket import Bucket, Headers, Held, in_threads
from jmreport.errors import ChangedError, DeliveryError
from jmreport.publish.manifest import Gone, Shown
from jmreport.publish.planning import Plan, Put
from jmreport.publish.serving import body

#: How often an object that somebody else changes meanwhile is looked at again.
_LOOKS = 3


class Sent(Struct, kw_only=True):
    """What came of it so far."""

    uploaded: int = 0
    copied: int = 0
    skipped: int = 0
    deleted: int = 0
    #: What was to go, and is somebody else's now.
    left: int = 0
    #: As they went over the wire.
    bytes: int = 0


class Sending:
    """A plan being carried out. `read` gives a file's bytes by its address; `check` comes first,
    and `confirm` before what somebody wrote meanwhile is written over or deleted.

    `is_sum_of` says whether bytes are those of a digest of the plan.

    Any error of a thread stops the others before their next object, and is raised.
    """

    def __init__(
        self,
        bucket: Bucket,
        read: Callable[[str], bytes],
        *,
        threads: int,
        check: Callable[[], None],
        confirm: Callable[[], None],
        is_sum_of: Callable[[str, bytes], bool],
    ) -> None:
        self._bucket, self._read, self._threads = bucket, read, threads
        self._check, self._confirm, self._is_sum_of = check, confirm, is_sum_of
        self._lock = threading.Lock()
        self.sent = Sent()
        #: The objects that were made, or found to be right.
        self.shown: dict[str, Shown] = {}

    def send(self, plan: Plan, advance: Callable[[], None]) -> None:
        """Makes every object of the plan, in its order."""

        def do(put: Put) -> None:
            self._check()
            self._make(put)
            advance()

        for stage in plan.stages:
            in_threads(stage, do, threads=self._threads)

    def delete(self, plan: Plan, advance: Callable[[], None]) -> set[str]:
        """Takes away what is due; says what is gone, or is no longer what was to go."""
        over: set[str] = set()

        def do(name: str) -> None:
            self._check()
            was, there, left = plan.gone[name], False, False
            try:
                there = self._bucket.delete(name, generation=was.generation)
            except ChangedError:
                there = self._deleted_again(name, was)
                left = not there
            with self._lock:
                over.add(name)
                self.sent.deleted += there
                self.sent.left += left
            advance()

        in_threads(plan.due, do, threads=self._threads)
        return over

    def _deleted_again(self, name: str, was: Gone) -> bool:
        """Whether an object went that somebody wrote since with what it held, as a copy does of a
        whole bucket; any other is theirs."""
        try:
            found = self._bucket.read(name)
            if found is None or not was.sum or not self._is_sum_of(was.sum, found.data):
                return False
            self._confirm()
            return self._bucket.delete(name, generation=found.generation)
        except ChangedError:
            return False

    def _make(self, put: Put) -> None:
        if put.source and self._copied(put):
            return
        data, headers = self._body(put)
        held, there = put.held, put.there
        for _ in range(_LOOKS):
            if held is not None and self._is_right(held, data, headers):
                self._remember(put, held.generation)
                with self._lock:
                    self.sent.skipped += 1
                return
            try:
                generation = self._bucket.write(put.name, data, generation=there, headers=headers)
            except ChangedError:
                held = self._bucket.look(put.name)
                there = held.generation if held else 0
                self._confirm()
                continue
            self._remember(put, generation)
            with self._lock:
                self.sent.uploaded += 1
                self.sent.bytes += len(data)
            return
        raise DeliveryError(
            f"{self._bucket.place}/{put.name} is changed by somebody else all the time",
            hint="find out who else writes there",
        )

    def _copied(self, put: Put) -> bool:
        """Whether the bucket could make a copy by itself."""
        try:
            generation = self._bucket.copy(
                put.source,
                put.name,
                source_generation=put.source_generation,
                generation=put.there,
            )
        except ChangedError:
            return False
        self._remember(put, generation)
        with self._lock:
            self.sent.copied += 1
        return True

    def _body(self, put: Put) -> tuple[bytes, Headers]:
        data = put.laid.data
        if data is None:
            data = self._read(put.laid.file.address)
        return body(put.name, data, cache=put.cache, pack=self._bucket.encodes)

    def _is_right(self, held: Held, data: bytes, headers: Headers) -> bool:
        same = held.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
        return same and (held.cache == headers.cache or not self._bucket.encodes)

    def _remember(self, put: Put, generation: int) -> None:
        file = put.laid.file
        with self._lock:
            self.shown[put.name] = Shown(file.sum, put.cache, file.size, generation)
