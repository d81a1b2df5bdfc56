"""What many rows say alike is in memory once, and rows are the same for it."""

import msgspec
from msgspec.structs import replace
from site_cases import entries, report, runs

from jmreport.records import Entry
from jmreport.sharing import Sharing


def read_again(entry: Entry) -> Entry:
    """The same entry, of which nothing is shared with another."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(entry), type=Entry)


def test_a_job_that_started_as_it_was_submitted_has_one_instant() -> None:
    """dsub's jobs do. Another start stays what it is."""
    (entry, *_) = entries(1, runs(2))
    at_once = replace(entry, row=replace(entry.row, start=entry.row.submission))
    for told in (at_once, entry):
        shared = Sharing().entry(read_again(told))
        assert shared == told
    row = Sharing().row(read_again(at_once).row)
    assert row.start is row.submission is not None


def test_jobs_of_one_place_in_two_files_share_what_says_so() -> None:
    (entry, *_) = entries(1, runs(2))
    told = [replace(entry, line=1_000, shard=f"jobs-{number}") for number in range(2)]
    sharing = Sharing()
    one, other = (sharing.entry(read_again(each)) for each in told)
    assert [one, other] == told
    assert one.line is other.line
    assert one.row.name is other.row.name


def test_a_value_that_is_as_in_a_shorter_time_frame_is_there_once() -> None:
    """A label of ids has nearly all of its values in several frames."""
    over = runs(2)
    found = report(entries(40, over), over)
    for label in found.labels:
        values = [value for frame in label.frames for value in frame.values]
        told = {msgspec.json.encode(value) for value in values}
        assert len({id(value) for value in values}) <= len(told) < len(values)
