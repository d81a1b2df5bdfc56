"""Charts: the same bytes for the same data, readable without seeing them, safe inside a page."""

import multiprocessing
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmreport.render import charts, nightchart, plotting, svgs
from jmreport.render.bands import usual_band
from jmreport.render.charts import Bar, Days, Durations, Flow, Rates, Run
from jmreport.render.drawings import Charts
from jmreport.render.lastnights import usual_day
from jmreport.render.sparklines import segments, sparkline
from jmreport.report.counts import Day

DAYS = tuple(
    Bar(
        day=f"2026-11-{day:02}",
        label=f"{day} Nov",
        succeeded=2000 + day,
        failed=7 * day % 40,
        aborted=day % 3,
        failed_link=f"jobs/ended-{day}.html",
    )
    for day in range(1, 22)
)
CHARTS: tuple[Days, Days, Rates, Durations, Flow] = (
    Days(title="Jobs that ended", take_away="Mon 21 Nov: 27 failed.", bars=DAYS),
    Days(title="Jobs that ended", take_away="27 failed.", bars=DAYS, width="narrow"),
    Rates(
        title="Failure rate",
        take_away="Usually 4 %.",
        days=tuple(bar.label for bar in DAYS),
        rates=tuple(None if day % 5 == 0 else day / 100 for day in range(21)),
        band=(0.02, 0.1),
    ),
    Durations(
        title="How long",
        take_away="Usually 2 h.",
        runs=tuple(
            Run(
                ended=datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=n),
                seconds=7000.0 + n,
                status=("Succeeded", "Failed", "Aborted")[n % 3],
            )
            for n in range(30)
        ),
        first_day="1 Nov",
        last_day="2 Nov",
        band=(6000.0, 9000.0),
        median=7000.0,
    ),
    Flow(
        title="Jobs over time",
        take_away="At most 31 at once.",
        running=tuple(7 * step % 32 for step in range(48)),
        waiting=tuple(5 * step % 11 for step in range(48)),
        submitted=tuple(step % 5 for step in range(48)),
        waits=tuple(
            None if step % 6 == 0 else (2.5 * step, 20_000.0 if step == 31 else 9.0 * step)
            for step in range(48)
        ),
        ticks=((5.0, "Sat 21 Nov"), (29.0, "Wed 22 Jul")),
        each="hour",
    ),
)
GAP = Bar(day="2026-11-22", label="22 Nov", unreported=True, told=False)
#: Drawings as they are kept in `data/drawings`, by what is special in them.
KEPT: dict[str, charts.Chart] = {
    "days-wide": CHARTS[0],
    "days-narrow": CHARTS[1],
    "days-of-which-one-brought-no-report": Days(
        title="a", take_away='<b> & "c"', bars=(*DAYS[:6], GAP, DAYS[20])
    ),
    "rates-with-gaps": CHARTS[2],
    "rates-of-an-unusual-night": Rates(
        title="a", take_away="b", days=("1 Feb", "2 Feb"), rates=(0.01, 0.6), band=(0.0, 0.02)
    ),
    "durations-in-minutes": CHARTS[3],
    "durations-of-odd-statuses": Durations(
        title="a",
        take_away="b",
        runs=tuple(
            Run(ended=datetime(2026, 11, 1, tzinfo=UTC), seconds=seconds, status=status)
            for seconds, status in ((12.5, "Odd"), (0.0, "Aborted"), (170.0, "Failed"))
        ),
        first_day="1 Nov",
        last_day="1 Nov",
    ),
    "flow-wide": CHARTS[4],
    "nothing": Days(title="a", take_away="b", bars=()),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_drawing_is_as_it_was(name: str) -> None:
    """Sites keep drawings by the digest of their data: where one is to look otherwise, raise
    `charts.DRAWING`, and put what is drawn into its file."""
    kept = Path(__file__).parent / "data/drawings" / f"{name}.svg"
    assert svgs.draw(KEPT[name]) == kept.read_text("utf-8")


def test_a_day_without_a_report_is_marked_and_named_in_both_panels() -> None:
    """An empty place would look like a night without a failure."""
    gap = Bar(day="2026-11-22", label="22 Nov", unreported=True)
    drawn = svgs.draw(Days(title="a", take_away="b", bars=(*DAYS, gap)))
    assert drawn.count("22 Nov: no report") == 2
    assert ">no report<" in drawn
    assert "no report" not in svgs.draw(CHARTS[0])


def test_nights_that_tell_nothing_are_not_what_is_usual() -> None:
    """Neither one without a report nor one of which nobody asked for failed jobs lowers it."""
    lost = tuple(
        Bar(day=f"2026-11-{day}", label=f"{day} Nov", unreported=day % 2 == 0, told=False)
        for day in range(22, 30)
    )
    told = [Bar(day=f"2026-10-{day}", label=f"{day} Oct", failed=day) for day in range(10, 16)]
    drawn = svgs.draw(Days(title="a", take_away="b", bars=(*told, *lost, told[0])))
    assert ">median 13<" in drawn
    assert "median" not in svgs.draw(Days(title="a", take_away="b", bars=(*told[2:], *lost)))


def test_what_usually_fails_is_counted_from_nights_with_a_report() -> None:
    nights = [Day(day=f"2026-10-{day}", run="r", failed=day) for day in range(10, 16)]
    lost = [Day(day=f"2026-10-{day}", unreported=True) for day in range(16, 24)]
    assert usual_day([*nights, *lost, nights[0]]) == "usually 13 failed a night"
    assert usual_day([*nights[2:], *lost]) == ""


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: type(chart).__name__)
def test_the_same_data_is_the_same_drawing(chart: charts.Chart) -> None:
    """Drawn twice, byte for byte the same."""
    assert svgs.draw(chart) == svgs.draw(chart)


def test_another_process_draws_the_same_without_the_library_for_mails() -> None:
    """What is made by workers, by another machine or after an upgrade of nothing."""
    asked = (
        "import sys, msgspec; from jmreport.render import charts, svgs;"
        "given = msgspec.json.decode(sys.argv[1], type=list[charts.Chart]);"
        "drawn = [svgs.draw(chart) for chart in given];"
        "print(msgspec.json.encode([*drawn, str('matplotlib' in sys.modules)]).decode())"
    )
    said = subprocess.run(  # noqa: S603 (this Python, and our own words)
        [sys.executable, "-c", asked, msgspec.json.encode(CHARTS).decode()],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    ).stdout
    assert msgspec.json.decode(said) == [*(svgs.draw(chart) for chart in CHARTS), "False"]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: type(chart).__name__)
def test_a_drawing_keeps_to_the_page_s_policy_and_follows_its_colours(chart: charts.Chart) -> None:
    """No style, no script, no fixed size, no colour without its token; a title and a take-away."""
    svg = svgs.draw(chart)
    root = ElementTree.fromstring(svg)  # noqa: S314
    assert root.attrib.keys() >= {"viewBox", "role", "aria-labelledby"}
    assert not root.attrib.keys() & {"width", "height"}
    named = root.attrib["aria-labelledby"].split()
    by_id = {element.get("id"): element for element in root.iter() if element.get("id")}
    assert [by_id[name].text for name in named] == [chart.title, chart.take_away]
    assert not re.search(r"<style|<script|style=|metadata|xlink|target=", svg)
    for element in root.iter():
        for name in ("fill", "stroke"):
            value = element.get(name, "none")
            assert value == "none" or value.startswith("var(--"), (element.tag, value)
    assert set(re.findall(r"#(c[0-9a-f]+-\d+)", svg)) <= set(by_id)
    assert not re.search(r"\d\.\d{3}", svg)


def test_bars_lead_to_the_jobs_they_count() -> None:
    """A bar with a list is a link whose name says the day and the number."""
    root = ElementTree.fromstring(svgs.draw(CHARTS[0]))  # noqa: S314
    links = [element for element in root.iter() if element.tag.endswith("}a")]
    assert {link.get("href") for link in links} == {bar.failed_link for bar in DAYS}
    assert "20 Nov: 20 failed" in {link.get("aria-label") for link in links}
    assert root.get("role") == "group"


def test_words_say_which_bars_are_failed_and_which_aborted_jobs() -> None:
    """Below them, for those too who tell no colours apart; and each leads to its own jobs."""
    night = Bar(
        day="2026-11-23", label="23 Nov", failed=2, aborted=1, failed_link="f", aborted_link="a"
    )
    drawn = svgs.draw(Days(title="a", take_away="b", bars=(night,)))
    assert drawn.count(">failed<") == drawn.count(">aborted<") == 1
    root = ElementTree.fromstring(drawn)  # noqa: S314
    links = {each.get("aria-label"): each.get("href") for each in root.iter() if each.get("href")}
    assert links == {"23 Nov: 2 failed": "f", "23 Nov: 1 aborted": "a"}
    told = Day(day="2026-11-23", run="r", failed=2, aborted=1)
    for chart in nightchart.charts([told]):
        assert {text.text for text in chart.texts} >= {"failed", "aborted"}
        assert [bar.kind for bar in chart.bars[-2:]] == ["failed", "aborted"]
    (wide, _) = nightchart.charts([Day(day="2026-11-23", run="r", failed=2)])
    assert "aborted" not in {text.text for text in wide.texts}


@pytest.mark.parametrize(
    "chart",
    [
        Days(title="a", take_away="b", bars=()),
        Days(title="a", take_away="b", bars=(Bar(day="2026-11-23", label="23 Nov"),)),
        Rates(title="a", take_away="b", days=("23 Nov",), rates=(None,)),
        Durations(title="a", take_away="b", runs=(), first_day="", last_day=""),
        Durations(
            title="a",
            take_away="b",
            runs=(Run(ended=datetime(2026, 1, 1, tzinfo=UTC), seconds=0.0, status="Odd"),),
            first_day="1 Jan",
            last_day="1 Jan",
        ),
    ],
)
def test_little_or_no_data_is_drawn_too(chart: charts.Chart) -> None:
    """Nothing, one day, one run of an unknown status: a drawing, and no warning as an error."""
    assert svgs.draw(chart).startswith("<svg")


def test_settings_of_the_machine_for_figures_change_no_picture_and_stay() -> None:
    import matplotlib

    with matplotlib.rc_context({"lines.linewidth": 9.0, "axes.facecolor": "red", "font.size": 30}):
        drawn = plotting.picture(CHARTS[1], dark=False)
        assert matplotlib.rcParams["lines.linewidth"] == 9.0
    assert drawn == plotting.picture(CHARTS[1], dark=False)


def test_what_draws_is_loaded_without_its_help_and_left_as_it_was() -> None:
    asked = (
        "from jmreport.render import plotting; plotting.load();"
        "from matplotlib import artist, lines;"
        "line = lines.Line2D; name = 'antialiased';"
        "print(name in line.set.__doc__, name in artist.kwdoc(line))"
    )
    said = subprocess.run(  # noqa: S603 (this Python, and our own words)
        [sys.executable, "-c", asked], check=True, capture_output=True, text=True
    ).stdout
    assert said.split() == ["False", "True"]


def test_no_mark_is_made_that_nobody_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library makes four for each axes, in a quarter of a chart's time; others have them."""
    from matplotlib.axis import Tick
    from matplotlib.figure import Figure

    made: list[Tick] = []
    make = Tick.__init__

    def counted(self: Tick, *given: Any, **options: Any) -> None:
        made.append(self)
        make(self, *given, **options)

    monkeypatch.setattr(Tick, "__init__", counted)
    plotting.picture(CHARTS[1], dark=False)
    assert not made
    assert len(Figure().add_axes((0, 0, 1, 1)).xaxis.majorTicks) == 1


def test_a_drawing_is_kept_until_nobody_wants_it(tmp_path: Path) -> None:
    """The second asking reads what the first drew; forgetting removes what is not wanted."""
    kept = Charts(tmp_path)
    first = kept.svg(CHARTS[0])
    (tmp_path / f"{charts.key(CHARTS[0])}.svg").write_text("<svg>kept</svg>")
    assert kept.svg(CHARTS[0]) == "<svg>kept</svg>" != first
    kept.forget(set())
    assert list(tmp_path.iterdir()) == []


def test_two_workers_may_draw_the_same_chart_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is done with it while the other is about to put its own drawing in its place."""
    kept = Charts(tmp_path)
    other = multiprocessing.get_context("fork").Process(target=kept.svg, args=(CHARTS[0],))
    move = Path.replace

    def late(part: Path, place: Path) -> Path:
        monkeypatch.undo()
        other.start()
        other.join()
        return move(part, place)

    monkeypatch.setattr(Path, "replace", late)
    drawn = kept.svg(CHARTS[0])
    assert other.exitcode == 0
    assert [path.read_text() for path in tmp_path.iterdir()] == [drawn]


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**6), max_size=6))
def test_a_split_bar_is_always_full(counts: dict[str, int]) -> None:
    """Its parts lie side by side and add up to the whole."""
    parts = segments(counts, ("c", "a"))
    assert len(parts) == sum(count > 0 for count in counts.values())
    if parts:
        assert abs(sum(part.width for part in parts) - 100) < 0.1
        assert all(0 <= part.x <= 100 for part in parts)


@given(st.lists(st.none() | st.floats(0, 1), max_size=30))
def test_a_small_chart_stays_in_its_box(rates: list[float | None]) -> None:
    """Whatever is known, no place lies outside of 180 by 48."""
    top = max((rate for rate in rates if rate is not None), default=0.0)
    line = sparkline(rates, usual_band(rates), top)
    numbers = [float(number) for number in re.findall(r"[\d.]+(?:e-?\d+)?", line.path)]
    assert all(0 <= x <= 180 for x in numbers[::2])
    assert all(0 <= y <= 48 for y in numbers[1::2])


@pytest.mark.parametrize("dark", [False, True])
def test_a_picture_for_mails_is_a_png_of_the_same_bytes_on_its_own_ground(dark: bool) -> None:
    """Mails show no SVG, and a picture cannot follow its reader into the dark."""
    from io import BytesIO

    from matplotlib.image import imread

    chart = Days(title="Jobs that ended", take_away="", bars=DAYS, width="mail")
    drawn = plotting.picture(chart, dark=dark)
    assert drawn == plotting.picture(chart, dark=dark)
    assert len(drawn) < 80_000
    dots = imread(BytesIO(drawn))[:, :, :3]
    ground = tuple(round(float(part) * 255) for part in dots[0, 0])
    assert ground == ((0x12, 0x15, 0x1B) if dark else (255, 255, 255))
    red, green, blue = (dots * 255).round().astype(int).transpose(2, 0, 1)
    shown = {f"#{dot:06x}" for dot in set((red << 16 | green << 8 | blue).ravel().tolist())}
    drawn_with = ("succeeded", "failed", "aborted", "line", "band", "text", "muted")
    light = {charts.INK[name] for name in drawn_with}
    assert ({charts.DARK[ink] for ink in light} if dark else light) <= shown
    # Where two colours meet there are others, and one of them is that of the light grid.
    assert not (dark and (light - {charts.INK["band"]}) & shown)


def test_every_colour_that_is_drawn_has_one_for_the_dark() -> None:
    assert set(charts.DARK) == set(charts.INK.values())
