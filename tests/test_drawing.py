"""Drawings that a process of its own makes: nothing shows it but the time."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from site_cases import contents, entries, runs, write
from test_charts import CHARTS

from jmreport.errors import JmreportError
from jmreport.render import charts, plotting
from jmreport.render.drawings import Charts
from jmreport.render.drawnbeside import drawn_beside
from jmreport.render.making import Maker


def test_drawings_are_there_once_they_were_waited_for(tmp_path: Path) -> None:
    kept = Charts(tmp_path)
    keys = [charts.key(chart) for chart in CHARTS]
    with drawn_beside(kept, CHARTS) as beside:
        assert beside.at_work
        beside.wait_for(keys[:1])
        assert not kept.lacking(keys[:1])
    assert not kept.lacking(keys)
    assert [kept.svg(chart) for chart in CHARTS] == [plotting.draw(chart) for chart in CHARTS]


def test_no_process_is_forked_to_draw_nothing(tmp_path: Path) -> None:
    with drawn_beside(Charts(tmp_path), ()) as beside:
        assert not beside.at_work
        assert multiprocessing.active_children() == []


def broken(here: int) -> str:
    raise ArithmeticError(f"cannot draw, {os.getpid() == here}")


def elsewhere_broken(draw: Callable[[charts.Chart], str], here: int) -> Callable[..., str]:
    return lambda chart: draw(chart) if os.getpid() == here else broken(here)


def test_what_it_could_not_draw_is_drawn_by_who_makes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    over = runs(3)
    write(tmp_path / "one", entries(60, over), over)
    monkeypatch.setattr(plotting, "draw", elsewhere_broken(plotting.draw, os.getpid()))
    write(tmp_path / "two", entries(60, over), over, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert "".join(capfd.readouterr()) == ""


def loudly(draw: Callable[[charts.Chart], str], here: int) -> Callable[..., str]:
    def loud(chart: charts.Chart) -> str:
        if os.getpid() == here:
            raise AssertionError("drawn where the pages are made")
        print("a warning", file=sys.stderr)
        return draw(chart)

    return loud


def test_a_warning_of_what_draws_stops_no_drawing_and_is_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plotting, "draw", loudly(plotting.draw, os.getpid()))
    with drawn_beside(Charts(tmp_path), CHARTS):
        pass
    assert not Charts(tmp_path).lacking([charts.key(chart) for chart in CHARTS])
    assert "".join(capfd.readouterr()) == ""


_IN_A_SCRIPT = """
import os, signal, sys
from pathlib import Path
from jmreport.render import charts, plotting
from jmreport.render.drawnbeside import drawn_beside
from jmreport.render.drawings import Charts

def broken(_chart):
    raise OSError("the disk is full")

if "ignored" in sys.argv:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    plotting.draw = broken
flow = charts.Rates(title="", take_away="", days=("2026-11-23",), rates=(0.5,))
kept = Charts(Path(sys.argv[1]))
with drawn_beside(kept, [flow]) as beside:
    beside.wait_for([charts.key(flow)])
print(kept.lacking([charts.key(flow)]))
"""


def test_a_drawing_that_fails_is_waited_for_no_longer_where_ends_of_processes_are_ignored(
    tmp_path: Path,
) -> None:
    """Some supervisors start others so: then nobody is told that a process has ended."""
    run = subprocess.run(  # noqa: S603 (this Python, and our own words)
        [sys.executable, "-c", _IN_A_SCRIPT, str(tmp_path), "ignored"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert run.stdout == b"1\n"


def test_without_a_home_what_draws_leaves_nothing_behind(tmp_path: Path) -> None:
    """The library makes a folder of its own then, as in a container that may write nowhere else."""
    own = tmp_path / "own"
    own.mkdir()
    keep = {name: text for name, text in os.environ.items() if "CONFIG" not in name}
    run = subprocess.run(  # noqa: S603 (this Python, and our own words)
        [sys.executable, "-c", _IN_A_SCRIPT, str(tmp_path)],
        env={**keep, "HOME": "/proc/nobody", "XDG_CACHE_HOME": "/proc/nobody", "TMPDIR": str(own)},
        capture_output=True,
        timeout=100,
        check=True,
    )
    assert run.stdout == b"0\n"
    assert list(own.iterdir()) == []


def test_why_a_drawing_fails_is_told_as_if_nobody_else_had_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = os.getpid()
    monkeypatch.setattr(plotting, "draw", lambda _chart: broken(here))
    over = runs(3)
    with pytest.raises(ArithmeticError, match="cannot draw, True"):
        write(tmp_path, entries(60, over), over, workers=2)
    assert "".join(capfd.readouterr()) == ""
    assert multiprocessing.active_children() == []


def test_a_run_that_fails_waits_for_no_drawing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise JmreportError("the disk is full")

    monkeypatch.setattr(plotting, "draw", lambda _chart: time.sleep(60))
    monkeypatch.setattr(Maker, "others", full)
    over, started = runs(3), time.monotonic()
    with pytest.raises(JmreportError, match="full"):
        write(tmp_path, entries(60, over), over, workers=2)
    assert time.monotonic() - started < 30
    assert multiprocessing.active_children() == []


_KILLED = """
import os, sys, time
from pathlib import Path
from jmreport.render import charts, plotting
from jmreport.render.drawnbeside import drawn_beside
from jmreport.render.drawings import Charts

def draw(_chart):
    print(os.getpid(), flush=True)
    time.sleep(60)

plotting.draw = draw
flow = charts.Rates(title="", take_away="", days=(), rates=())
with drawn_beside(Charts(Path(sys.argv[1])), [flow]):
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing ends it before its drawing")
def test_who_draws_dies_with_the_run_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 (this Python, and our own words)
        [sys.executable, "-c", _KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        drawing = int(run.stdout.readline())
        run.send_signal(signal.SIGKILL)
    until = time.monotonic() + 10
    while _alive(drawing):
        assert time.monotonic() < until
        time.sleep(0.01)


def _alive(process: int) -> bool:
    """Whether it runs; one that nobody has asked about yet does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
