"""Nights: each one's overview as it was told then, and the calendar of them all.

    nights/index.html                     the calendar
    nights/20261123T021400Z/index.html    that night, frozen

A frozen page is made of a Night and of nothing else, so what the server changes or forgets later
leaves it alone; links from mails lead there. Its numbers lead to lists on the page itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import tzinfo

from msgspec import Struct

from jmreport.render import addresses, causewords, filtered, verdict, words
from jmreport.render.gridpage import EXPECTED
from jmreport.render.joblists import Lists
from jmreport.render.page import Page, digest
from jmreport.report import (
    CauseGroup,
    FailedNight,
    Night,
    NightJob,
    NightSummary,
    Range,
    Report,
    StuckJob,
    in_order,
)

#: How a night is had when its page must be made again.
Remember = Callable[[str], Night | None]
#: Whether a page is there, by its address.
Known = Callable[[str], bool]


def _always(_address: str) -> bool:
    return True


class Around(Struct, frozen=True, kw_only=True):
    """What a night's page shows beside its night: nothing of it changes with the nights after it.

    But for `newer`, the run of the night after it ("" for the newest, as `older` for the first).
    `usual` is what each count was usually; `causes` are those of the night that have pages; `gone`
    are pages of its jobs that this rendering removes.
    """

    older: str = ""
    newer: str = ""
    usual: Mapping[str, Range] = {}
    causes: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class JobLink(Struct, frozen=True):
    """A job's short id and its page; no link where there is none any more."""

    text: str
    href: str


class Number(Struct, frozen=True, kw_only=True):
    """A number of the verdict, and the part of the page that lists what it counts.

    `anchor` is that of the number itself where no part has it, so that links to it lead somewhere.
    """

    n: str
    what: str
    kind: str
    href: str
    anchor: str
    usual: str


class Group(Struct, frozen=True, kw_only=True):
    """A cause, or a workflow's jobs of one kind, with all its jobs."""

    state: str
    kind: str
    count: str
    title: str
    note: str
    since: words.Moment | None
    lasting: str
    jobs: tuple[JobLink, ...]
    href: str = ""


class Part(Struct, frozen=True, kw_only=True):
    """A list of the page: its anchor, heading and groups."""

    anchor: str
    heading: str
    groups: tuple[Group, ...]


class NightView(Struct, frozen=True, kw_only=True):
    """What night.html prints."""

    title: str
    lede: str
    rest: str
    filtered: str
    when: words.Moment | None
    since: words.Moment | None
    complete: bool
    incomplete: str
    holes: tuple[str, ...]
    failed_runs: tuple[str, ...]
    numbers: tuple[Number, ...]
    parts: tuple[Part, ...]
    #: Its counts name jobs, and which they were is not known any more.
    lost: bool
    #: What is said where no part has anything.
    none: str
    older: str
    newer: str
    calendar: str
    overview: str


class Counted(Struct, frozen=True):
    """A number of the calendar, and the list of what it counts; "" where there is none.

    The number is "" where the night could not tell it: `why`.
    """

    text: str
    href: str = ""
    why: str = ""


#: What a first night has nothing to say of.
_FIRST = Counted("", why="nothing to compare with")
#: What is said of missing work where it was too early to miss any.
_EARLY = Counted("", why="too few nights before")


class Row(Struct, frozen=True, kw_only=True):
    """A night in the calendar. `tries` says how many runs of its day brought nothing before it."""

    when: words.Moment | None
    href: str
    verdict: str
    complete: bool
    tries: str
    ended: Counted
    failed: Counted
    new: Counted
    fixed: Counted
    still_failing: Counted
    stuck: Counted
    missing: Counted


class FailedRow(Struct, frozen=True, kw_only=True):
    """A night in the calendar that brought no report: nothing to lead to, but why."""

    when: words.Moment | None
    anchor: str
    said: str
    href: str = ""


class Month(Struct, frozen=True, kw_only=True):
    """A month of the calendar, newest first."""

    name: str
    rows: tuple[Row | FailedRow, ...]


class CalendarView(Struct, frozen=True, kw_only=True):
    """What nights.html prints."""

    months: tuple[Month, ...]
    count: str
    failed: str
    zone: str
    diffs: str


def pages(
    report: Report,
    fresh: Mapping[str, Night],
    remember: Remember,
    lists: Lists,
    *,
    zone: tzinfo,
    as_of: words.Moment | None,
    known: Known = _always,
    going: frozenset[str] = frozenset(),
) -> Iterator[Page]:
    """The calendar, and every night's page. `fresh` are nights that no ledger knows yet.

    `known` says whether a job's page is there, `going` are those that are removed this time.
    """
    nights, causes = report.nights, frozenset(cause.id for cause in report.causes)
    for place, summary in enumerate(nights):
        newer = nights[place + 1].run if place + 1 < len(nights) else ""
        older = nights[place - 1].run if place else ""
        around = Around(
            older=older,
            newer=newer,
            usual=report.usual_then.get(summary.run, {}),
            causes=tuple(cause.id for cause in summary.causes if cause.id in causes),
            gone=_gone(summary.run, fresh, remember, going) if going else (),
        )
        yield _frozen(summary, fresh.get(summary.run), remember, around, zone, known)
    view = calendar(report, lists, zone)
    yield Page(
        address=addresses.NIGHTS,
        template="nights.html",
        content=digest(view, as_of),
        view=lambda _: view,
        as_of=as_of,
    )


def _gone(
    run: str, fresh: Mapping[str, Night], remember: Remember, going: frozenset[str]
) -> tuple[str, ...]:
    """Pages of a night's jobs that are removed, so that its own is made again without the links."""
    night = fresh.get(run) or remember(run)
    jobs = night.jobs if night else ()
    return tuple(page for job in jobs if (page := addresses.job(job.id)) in going)


def _frozen(
    summary: NightSummary,
    fresh: Night | None,
    remember: Remember,
    around: Around,
    zone: tzinfo,
    known: Known,
) -> Page:
    """A night's page: made again only where its neighbours, the look or its own night changed."""

    def made(_: object) -> NightView:
        night = fresh or remember(summary.run)
        # Only a ledger that was damaged while it was read has lost it.
        return view(night or Night(summary=summary), zone, around, known)

    return Page(
        address=addresses.night(summary.run),
        template="night.html",
        content=digest((fresh.summary if fresh else summary).content, around, str(zone)),
        view=made,
        as_of=words.when(summary.now, zone),
        here=True,
    )


def view(
    night: Night, zone: tzinfo, around: Around | None = None, known: Known = _always
) -> NightView:
    """A night's page, alone or with what stands around it; it links to pages that are known."""
    around = around or Around()
    summary = night.summary
    here = addresses.night(summary.run)
    rows = {job.id: job for job in night.jobs}
    parts = tuple(part for part in _parts(night, rows, zone, around, known) if part.groups)
    return NightView(
        title=verdict.night_title(night),
        lede=_lede(night),
        rest=verdict.night_rest(summary),
        filtered=verdict.night_filter_note(summary),
        when=words.when(summary.now, zone),
        since=words.when(summary.since, zone),
        complete=summary.complete,
        incomplete="" if summary.complete else verdict.unreadable(night.unreadable, summary.counts),
        holes=tuple(_hole(*hole) for hole in night.holes),
        failed_runs=tuple(_failed_run(at, why, zone) for at, why in night.failed_runs),
        numbers=tuple(_numbers(summary, {part.anchor for part in parts}, around.usual)),
        parts=parts,
        lost=not parts and any(_told(summary)),
        none=verdict.night_nothing(summary),
        older=addresses.relative(here, addresses.night(around.older)) if around.older else "",
        newer=addresses.relative(here, addresses.night(around.newer)) if around.newer else "",
        calendar=addresses.relative(here, addresses.NIGHTS),
        overview=addresses.relative(here, addresses.OVERVIEW),
    )


def _lede(night: Night) -> str:
    """The sentence on the largest cause, as the report of that night said it."""
    found = causewords.largest(night.attention, night.summary.counts)
    if found is None:
        return ""
    start, flow, end = found
    return start + (f" in {words.cut_middle(flow, 80)}" if flow else "") + end


def _told(summary: NightSummary) -> Iterator[int]:
    """The counts whose jobs a night's page names."""
    counts = summary.counts
    yield from (counts.failing, counts.fixed, counts.stuck, counts.missing, counts.unknown)
    yield counts.lapsed


def _hole(what: str, why: str, count: int) -> str:
    times = f" ({words.plural(count, 'time')})" if count > 1 else ""
    return f"{words.cut_middle(what, 80)}: {words.cut_middle(why, 160)}{times}"


def _failed_run(at: object, why: str, zone: tzinfo) -> str:
    when = words.when(at, zone)  # type: ignore[arg-type]  # a datetime of the night
    return f"The run of {when.text if when else 'earlier'} brought nothing" + (
        f": {words.cut_middle(why, 200)}" if why else "."
    )


def _numbers(
    summary: NightSummary, anchors: set[str], usual: Mapping[str, Range]
) -> Iterator[Number]:
    counts = summary.counts
    first = summary.since is None
    told = (
        (
            "Failing" if first else "New failures",
            counts.failing if first else counts.new,
            "failed",
            "failing" if first else "new",
            "failing" if first else "new",
        ),
        (
            "Still failing",
            None if first else counts.still_failing,
            "aborted",
            "still-failing",
            "still_failing",
        ),
        ("Stuck", counts.stuck, "aborting", "stuck", "stuck"),
        ("Fixed", None if first else counts.fixed, "succeeded", "fixed", "fixed"),
        ("Missing", counts.missing or None, "aborted", "missing", "missing"),
        ("No longer counted", counts.lapsed or None, "aborted", "lapsed", "lapsed"),
        ("Unknown", counts.unknown or None, "aborted", "unknown", "unknown"),
    )
    for what, count, kind, anchor, name in told:
        if count is None:
            continue
        unseen = not count and name in filtered.unseen(summary.filters)
        said = words.usual_night(usual[name]) if name in usual else ""
        if name == "stuck" and counts.unjudged:
            said = " · ".join(filter(None, (verdict.unjudged(counts.unjudged), said)))
        yield Number(
            n=words.MISSING if unseen else words.number(count),
            what=what,
            kind=kind if count else f"{kind} zero",
            href=f"#{anchor}" if anchor in anchors else "",
            anchor="" if anchor in anchors else anchor,
            usual=filtered.UNSEEN if unseen else said,
        )


def _parts(
    night: Night, rows: Mapping[str, NightJob], zone: tzinfo, around: Around, known: Known
) -> Iterator[Part]:
    here = addresses.night(night.summary.run)
    states = (
        ("new", "new", "New failures"),
        ("failing", "failing", "Failing"),
        ("still failing", "still-failing", "Still failing"),
    )
    for state, anchor, heading in states:
        groups = [group for group in night.attention if group.state == state]
        yield Part(
            anchor=anchor,
            heading=heading,
            groups=tuple(_cause(group, rows, here, zone, around.causes, known) for group in groups),
        )
    yield Part(anchor="stuck", heading="Stuck", groups=_stuck(night.stuck, rows, here, known))
    lists = (
        ("fixed", "Fixed", night.fixed),
        ("missing", "Missing", night.missing),
        ("lapsed", "No longer counted", night.lapsed),
        ("unknown", "Unknown", night.unknown),
    )
    for anchor, heading, jobs in lists:
        yield Part(anchor=anchor, heading=heading, groups=_by_workflow(jobs, rows, here, known))


def _cause(
    group: CauseGroup,
    rows: Mapping[str, NightJob],
    here: str,
    zone: tzinfo,
    causes: Sequence[str],
    known: Known,
) -> Group:
    flows = words.listed([words.cut_middle(name, 60) for name in group.workflows[:3]])
    tasks = ", ".join(words.cut_middle(task, 40) for task in group.tasks[:3])
    return Group(
        state={"new": "New", "still failing": "Still failing"}.get(group.state, "Failing"),
        kind={"new": "new", "still failing": "still"}.get(group.state, "failed"),
        count=words.plural(len(group.jobs), "job"),
        title=words.cut_middle(group.title, 300) or group.rule,
        note=" · ".join(part for part in (flows, tasks, group.cause_class) if part),
        since=words.when(group.since, zone),
        lasting=_lasting(group, zone),
        jobs=_links(group.jobs, rows, here, known),
        href=addresses.relative(here, addresses.cause(group.id)) if group.id in causes else "",
    )


def _lasting(group: CauseGroup, zone: tzinfo) -> str:
    nights = words.plural(group.nights, "night") if group.state == "still failing" else ""
    success = words.when(group.last_success, zone)
    said = f"last success {success.text}" if success else "no success known"
    return ", ".join(filter(None, (nights, said, causewords.not_run(group, "in this night"))))


def _by_workflow(
    jobs: Sequence[str], rows: Mapping[str, NightJob], here: str, known: Known
) -> tuple[Group, ...]:
    flows: dict[str, list[str]] = {}
    for job in jobs:
        flows.setdefault(rows[job].workflow if job in rows else "", []).append(job)
    return tuple(
        Group(
            state="",
            kind="",
            count=words.plural(len(of_flow), "job"),
            title=words.cut_middle(name, 120) or "(no name)",
            note="",
            since=None,
            lasting="",
            jobs=_links(of_flow, rows, here, known),
        )
        for name, of_flow in sorted(flows.items())
    )


def _stuck(
    stuck: Sequence[StuckJob], rows: Mapping[str, NightJob], here: str, known: Known
) -> tuple[Group, ...]:
    """Each with how long it ran or waited by then, the longest first."""
    return tuple(
        Group(
            state="",
            kind="",
            count=words.duration(each.active_for),
            title=words.cut_middle(row.workflow if row else "", 120) or "(no name)",
            note=" · ".join(filter(None, (_doing(each), causewords.usual_duration(each.usual)))),
            since=None,
            lasting="",
            jobs=_links((each.job,), rows, here, known),
        )
        for each, row in ((each, rows.get(each.job)) for each in stuck)
    )


def _doing(each: StuckJob) -> str:
    if each.waiting:
        return "waiting"
    return f"running {words.cut_middle(each.where, 60)}" if each.where else "running"


def _links(
    jobs: Sequence[str], rows: Mapping[str, NightJob], here: str, known: Known
) -> tuple[JobLink, ...]:
    return tuple(
        JobLink(
            words.cut_end(rows[job].short_id if job in rows else job[:8], 60),
            addresses.relative(here, page) if known(page := addresses.job(job)) else "",
        )
        for job in jobs
    )


def calendar(report: Report, lists: Lists, zone: tzinfo) -> CalendarView:
    """Every night, newest first, month by month in the report's zone; also without a report."""
    nights, failed = report.nights, report.failed_nights
    months: dict[str, list[Row | FailedRow]] = {}
    # Only a first night tells how many were before; what was pruned is not known.
    early = min(EXPECTED, len(nights)) if nights and nights[0].since is None else 0
    first = frozenset(night.run for night in nights[:early])
    both = in_order(nights, failed)
    for night in reversed(both):
        month = months.setdefault(f"{night.now.astimezone(zone):%B %Y}", [])
        if isinstance(night, FailedNight):
            month.append(_failed_row(night, zone))
        else:
            month.append(_row(night, report, lists, zone, early=night.run in first))
    return CalendarView(
        months=tuple(Month(name=name, rows=tuple(rows)) for name, rows in months.items()),
        count=words.plural(len(nights), "night"),
        failed=f"{words.plural(len(failed), 'more night')} brought no report." if failed else "",
        zone=words.zone_name(both[-1].now, zone) if both else "UTC",
        diffs=addresses.relative(addresses.NIGHTS, addresses.DIFFS),
    )


def _failed_row(night: FailedNight, zone: tzinfo) -> FailedRow:
    return FailedRow(
        when=words.when(night.now, zone),
        anchor=addresses.failed_night(night.run).partition("#")[2],
        said=verdict.failed_night(night),
    )


def _row(summary: NightSummary, report: Report, lists: Lists, zone: tzinfo, *, early: bool) -> Row:
    """A night's row. `early` says that too few nights were before it to miss anything."""
    counts, split = summary.counts, summary.split
    first, tries = summary.since is None, report.tries_before.get(summary.run, 0)
    page = addresses.relative(addresses.NIGHTS, addresses.night(summary.run))

    unseen = filtered.unseen(summary.filters)

    def counted(name: str, count: int, href: str) -> Counted:
        if not count and name in unseen:
            return Counted("", why=filtered.UNSEEN)
        return Counted(words.number(count), href)

    def on_page(name: str) -> Counted:
        count = getattr(counts, name)
        return counted(name, count, f"{page}#{name.replace('_', '-')}" if count else "")

    return Row(
        when=words.when(summary.now, zone),
        href=page,
        verdict=verdict.night_words(summary),
        complete=summary.complete,
        tries=f"{words.plural(tries, 'run')} before it brought nothing" if tries else "",
        ended=Counted(words.number(split.total), _ended(summary, report, lists, zone)),
        failed=counted("failing", split.failed, _failed(summary, report, lists, zone)),
        new=_FIRST if first else on_page("new"),
        fixed=_FIRST if first else on_page("fixed"),
        still_failing=_FIRST if first else on_page("still_failing"),
        stuck=on_page("stuck"),
        missing=_EARLY if early and not counts.missing else on_page("missing"),
    )


def _ended(summary: NightSummary, report: Report, lists: Lists, zone: tzinfo) -> str:
    jobs = report.ended_by_night.get(summary.run, ())
    return _list("ended", "jobs", jobs, summary.split.total, summary, lists, zone)


def _failed(summary: NightSummary, report: Report, lists: Lists, zone: tzinfo) -> str:
    flows = report.failed_by_night.get(summary.run, {})
    jobs = [job for name in sorted(flows) for job in flows[name]]
    return _list("failed", "failed jobs", jobs, summary.split.failed, summary, lists, zone)


def _list(
    kind: str,
    noun: str,
    jobs: Sequence[str],
    count: int,
    summary: NightSummary,
    lists: Lists,
    zone: tzinfo,
) -> str:
    """The list of a night's jobs that are known now; "" where none is.

    One of fewer or of more jobs than the night counted says so itself.
    """
    if not jobs:
        return ""
    when = words.when(summary.now, zone)
    title = f"{noun} that ended in the night up to {when.text if when else summary.run}"
    address, back = addresses.night_list(summary.run, kind), ("Nights", addresses.NIGHTS)
    if len(jobs) == count:
        found = lists.link_or_job(address, title, jobs, back=back)
    else:
        found = lists.link(address, f"{title}: {_of(len(jobs), count)}", jobs, back=back)
    return addresses.relative(addresses.NIGHTS, found)


def _of(known: int, told: int) -> str:
    """How the jobs that are known of a night stand to those that it counted."""
    if known > told:
        return f"its report counted {words.number(told)}"
    verb = "is" if known == 1 else "are"
    return f"{words.number(known)} of {words.number(told)} {verb} still known"
