"""The shards of a scatter: rows for the job's page, and pages of their own for large ones.

A large scatter has all its shards by index, and those of each rarer status by themselves, so that
its failed ones stand together. Each page stays below a megabyte whatever its shards hold.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from msgspec import Struct, structs

from jmreport.models import Shard, TaskMetadata, is_failure
from jmreport.render import addresses, calls, tries, words
from jmreport.render.calls import Call
from jmreport.render.jobfacts import Link, Making
from jmreport.render.lacks import Lacks
from jmreport.render.tries import AttemptRow
from jmreport.render.values import Budget

#: Shards on a page of their own, and attempts shown of each.
A_PAGE = 250
_MOST_TRIES = 20
#: Bytes of text, and rows of attempts, on a page of shards.
_PAGE_TEXT = 300_000
_PAGE_TRIES = 1_200
_SLOWEST = 5

Tried = Mapping[int | None, Sequence[Call]]


class ShardRow(Struct, frozen=True, kw_only=True, gc=False):
    """A shard; `anchor` is "" where nothing points at it."""

    anchor: str
    index: str
    status: words.StatusWord
    note: str
    started: words.Moment | None
    ended: words.Moment | None
    took: str
    lacks: Lacks
    attempts: str
    links: tuple[Link, ...]
    job: Link | None
    messages: tuple[str, ...]
    tries: tuple[AttemptRow, ...] = ()
    tries_left_out: int = 0


class ShardGroup(Struct, frozen=True):
    """Pages of a scatter: all its shards, or those of one status. The page itself has no href."""

    title: str
    pages: tuple[Link, ...]


class ShardsPage(Struct, frozen=True, kw_only=True):
    """A page of a large scatter, at an address of its own."""

    address: str
    title: str
    task: str
    job: Link
    rows: tuple[ShardRow, ...]
    said: str
    groups: tuple[ShardGroup, ...]
    before: Link | None
    after: Link | None


class Scatter(Struct, frozen=True):
    """A scatter with pages of its own: its task's place in the job, and what is known of it."""

    position: int
    task: TaskMetadata
    calls: tuple[Call, ...]


def by_shard(found: Sequence[Call]) -> dict[int | None, list[Call]]:
    """Attempts by shard."""
    own: dict[int | None, list[Call]] = {}
    for call in found:
        own.setdefault(call.shard, []).append(call)
    return own


def distinct(rows: Iterable[ShardRow]) -> tuple[ShardRow, ...]:
    """Rows of a page: where a server names a shard twice, the first has the anchor."""
    found: list[ShardRow] = []
    anchors: set[str] = set()
    for each in rows:
        again = each.anchor in anchors
        anchors.add(each.anchor)
        found.append(structs.replace(each, anchor="") if again else each)
    return tuple(found)


def row(
    anchor: str, shard: Shard, tried: Tried, making: Making, *, with_tries: bool = False
) -> ShardRow:
    """A shard in words, with its attempts where they are to stand beside it."""
    own = tried.get(shard.shard_index, ())
    start, end = calls.span(own)
    index = "" if shard.shard_index is None else str(shard.shard_index)
    told = own if with_tries and _worth_telling(own) else ()
    shown = told[-making.budget.rows(len(told), _MOST_TRIES) :] if told else ()
    return ShardRow(
        anchor=f"{anchor}-shard-{index}" if anchor and index else "",
        index=index,
        status=words.status(shard.execution_status),
        note=_note(own, making),
        started=making.short(start),
        ended=making.short(end),
        took=making.took(start, end, shard.execution_status),
        lacks=making.lacks(shard.execution_status),
        attempts=words.number(shard.attempts) if shard.attempts is not None else "",
        links=making.places(shard.backend_log, shard.call_root, shard.operation_id),
        job=making.job(shard.job_id),
        messages=tries.messages(shard.failure_messages, making),
        tries=tuple(tries.row(call, making, of=f"attempt {call.attempt}") for call in shown),
        tries_left_out=len(told) - len(shown),
    )


def _worth_telling(own: Sequence[Call]) -> bool:
    """Whether attempts say more than the shard's row, which is its latest one."""
    return len(own) > 1 or any(call.data is not None for call in own)


def _note(own: Sequence[Call], making: Making) -> str:
    preempted = sum(1 for call in own if call.preempted)
    said = [words.plural(preempted, "preemption")] if preempted else []
    if own and (last := tries.note(own[-1], making)):
        said.append(last)
    return " · ".join(said)


def failed_first(shards: Sequence[Shard]) -> list[Shard]:
    """Failed ones, then those that are active, then the rest; by index within each."""
    return sorted(shards, key=lambda shard: (_rank(shard), _place(shard)))


def slowest(shards: Sequence[Shard], tried: Tried) -> list[Shard]:
    """The shards that took longest from their first start to their last end."""
    spans = ((shard, calls.span(tried.get(shard.shard_index, ()))) for shard in shards)
    known = [(end - start, shard) for shard, (start, end) in spans if start and end]
    known.sort(key=lambda pair: pair[0], reverse=True)
    return [shard for _, shard in known[:_SLOWEST]]


def _rank(shard: Shard) -> int:
    if is_failure(shard.execution_status):
        return 0
    return 2 if shard.execution_status == "Succeeded" else 1


def _place(shard: Shard) -> int:
    return shard.shard_index if shard.shard_index is not None else -1


def summary(shards: Sequence[Shard]) -> str:
    """How many shards stand how: "1 failed, 23 succeeded"; "" where all stand alike."""
    if len(shards) < 2:
        return ""
    counts = Counter(words.status(shard.execution_status).text for shard in shards)
    if len(counts) < 2:
        return ""
    return ", ".join(f"{words.number(n)} {text.lower()}" for text, n in counts.most_common())


# --- pages of their own


class _Group(Struct, frozen=True):
    """Shards in the order of their pages: `key` is "" for all of them.

    `ranges` are the pages in words: every page links to all of them.
    """

    key: str
    title: str
    shards: tuple[Shard, ...]
    ranges: tuple[str, ...]

    @classmethod
    def of(cls, key: str, title: str, shards: Sequence[Shard]) -> Self:
        firsts = range(0, len(shards), A_PAGE)
        ranges = tuple(_range(shards[first : first + A_PAGE]) for first in firsts)
        return cls(key, title, tuple(shards), ranges)

    @property
    def pages(self) -> int:
        return len(self.ranges)

    def part(self, page: int) -> tuple[Shard, ...]:
        return self.shards[(page - 1) * A_PAGE : page * A_PAGE]


class _Divided(Struct, frozen=True):
    """A scatter with what all of its pages say, which takes a look at every shard."""

    scatter: Scatter
    tried: Tried
    groups: Sequence[_Group]
    status: str


def _groups(task: TaskMetadata) -> list[_Group]:
    """All shards by index, and those of each status but the most frequent by themselves."""
    ordered = tuple(sorted(task.shards, key=_place))
    held: dict[str, list[Shard]] = {}
    for shard in ordered:
        held.setdefault(words.status(shard.execution_status).key, []).append(shard)
    usual = max(held, key=lambda key: len(held[key]), default="")
    rare = sorted((key for key in held if key != usual), key=lambda key: _rank(held[key][0]))
    named = [_Group.of(key, words.key_text(key), held[key]) for key in rare]
    return [*named, _Group.of("", "All shards", ordered)]


def links(position: int, task: TaskMetadata, making: Making) -> tuple[ShardGroup, ...]:
    """The pages of a scatter as links from the page in the making, which is not linked itself."""
    return _links(position, task, _groups(task), making)


def _links(
    position: int, task: TaskMetadata, groups: Sequence[_Group], making: Making
) -> tuple[ShardGroup, ...]:
    return tuple(
        ShardGroup(
            f"{group.title} ({words.number(len(group.shards))})",
            tuple(_link(position, task, group, page, making) for page in range(1, group.pages + 1)),
        )
        for group in groups
    )


def _link(position: int, task: TaskMetadata, group: _Group, page: int, making: Making) -> Link:
    address = _address(position, task, group, page, making)
    href = None if address == making.address else making.link(address)
    return Link(group.ranges[page - 1], href)


def _address(position: int, task: TaskMetadata, group: _Group, page: int, making: Making) -> str:
    return addresses.job_shards(making.id, position, task.name or "", page, status=group.key)


def _range(part: Sequence[Shard]) -> str:
    first, last = _index(part[0]), _index(part[-1])
    return first if len(part) == 1 else f"{first} to {last}"


def _index(shard: Shard) -> str:
    return words.number(shard.shard_index) if shard.shard_index is not None else "no index"


def pages(scatters: Sequence[Scatter], making: Making) -> Iterator[ShardsPage]:
    """The pages of large scatters, made one at a time, since together they are many megabytes."""
    for scatter in scatters:
        divided = _divided(scatter)
        for group in divided.groups:
            for page in range(1, group.pages + 1):
                yield _page(divided, group, page, making)


def _divided(scatter: Scatter) -> _Divided:
    shards = scatter.task.shards
    status = summary(shards) or f"all {words.status(shards[0].execution_status).text}"
    return _Divided(scatter, by_shard(scatter.calls), _groups(scatter.task), status)


def _page(divided: _Divided, group: _Group, page: int, making: Making) -> ShardsPage:
    position, task = divided.scatter.position, divided.scatter.task
    address = _address(position, task, group, page, making)
    here = structs.replace(making, address=address, budget=Budget(_PAGE_TEXT, _PAGE_TRIES))
    name = words.cut_middle(task.name or "(no name)", 200)
    part = group.part(page)
    what = f"{group.title.lower()} shards" if group.key else "shards"
    said = f"{words.plural(len(part), 'shard')} of {words.number(len(task.shards))}"
    return ShardsPage(
        address=address,
        title=f"{name}: {what} {group.ranges[page - 1]}",
        task=name,
        job=Link(making.short_id, here.link(addresses.job(making.id))),
        rows=distinct(
            row(addresses.anchor("task", position), shard, divided.tried, here, with_tries=True)
            for shard in part
        ),
        said=f"{said}: {divided.status}.",
        groups=_links(position, task, divided.groups, here),
        before=_link(position, task, group, page - 1, here) if page > 1 else None,
        after=_link(position, task, group, page + 1, here) if page < group.pages else None,
    )
