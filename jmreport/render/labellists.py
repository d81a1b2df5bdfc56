"""The lists behind a label's numbers: of a value, by status, in each of the time frames."""

from collections.abc import Sequence
from typing import Protocol

from jmreport.render import addresses, words
from jmreport.render.joblists import OF_ALL_TIME, Lists, filter_state, list_name, status_adjective
from jmreport.render.page import digest
from jmreport.report.labels import FrameReport, LabelReport, LabelValue


class Everywhere:
    """A label's values in all its time frames.

    A frame's jobs are the first of those of all time, by status too.
    """

    def __init__(self, label: LabelReport) -> None:
        self._frames = [
            (frame.frame, {value.value: value for value in frame.values}) for frame in label.frames
        ]
        self._jobs = label.jobs

    def jobs(self, value: LabelValue, status: str) -> Sequence[str]:
        """The jobs of a value in its frame, those with a status ("" for any), the newest first."""
        counts = value.split.counts
        return self._jobs.jobs(value.value, {status: counts[status]} if status else counts)

    def frame(self, frame: str, value: LabelValue, status: str, count: int) -> str:
        """The longest frame with just as many: its list is the same, and keeps its name."""
        for name, values in reversed(self._frames):
            found = values.get(value.value)
            if found and _number(found, status) == count:
                return name
        return frame


def _number(value: LabelValue, status: str) -> int:
    """How many jobs with a status a value has; all of them for ""."""
    return value.split.counts.get(status, 0) if status else value.split.total


class ValueLinks(Protocol):
    """Where the numbers of one value of a label lead to, and the value itself; "" for nowhere."""

    def to(self, status: str) -> str:
        """The jobs with a status, all for ""."""

    def workflow(self) -> str:
        """The page of the workflow that the value names."""


class Links:
    """The lists of one value of one label in one frame."""

    def __init__(
        self,
        label: LabelReport,
        frame: FrameReport,
        value: LabelValue,
        everywhere: Everywhere,
        lists: Lists,
        at: str,
    ) -> None:
        self._label, self._frame, self._value = label, frame, value
        self._everywhere, self._lists, self._at = everywhere, lists, at

    def to(self, status: str) -> str:
        """The list of the jobs with a status, of all for ""; no link for none."""
        label, value, frame = self._label, self._value, self._frame.frame
        count = _number(value, status)
        jobs = self._everywhere.jobs(value, status) if count else ()
        # Of a label of ids nearly every value has one job: what a list needs is not worked out.
        if alone := self._lists.only(jobs):
            return addresses.relative(self._at, alone)
        said = f"{status_adjective(words.status(status))} jobs" if status else "jobs"
        shown = words.cut_apart(value.value or "", 60)
        about = f"without {label.title}" if value.value is None else f"with {label.title} {shown}"
        known = "" if value.value is None else f"={value.value}"
        longest = self._everywhere.frame(frame, value, status, count)
        address = self._lists.link(
            list_name("label", label.key, known, status, longest),
            f"{said} {about}",
            jobs,
            scope=f"submitted in the {words.frame_words(frame)}"
            if frame != "ALL_TIME"
            else OF_ALL_TIME,
            back=(label.title, addresses.label(label.key)),
            filtered=self._filter(status),
            same=digest(label.key, value.value, status),
        )
        return addresses.relative(self._at, address) if address else ""

    def _filter(self, status: str) -> str:
        value, key = self._value.value, self._label.key
        state = {"status": status} if status else {}
        if value is None or key == "userId":
            return ""
        if key == "name":
            return filter_state(workflow=value, **state)
        return filter_state(label=f"{key}={value}", **state)

    def workflow(self) -> str:
        if self._label.key != "name" or self._value.value is None:
            return ""
        return self._lists.jobs.workflow_href(self._value.value, self._at)
