"""Attack the actions server in each of its modes, and count what the Job Manager behind it saw.

    python -m tests.campaigns.attacks

Prints a line a mode: requests, how many were refused, how many were told in the audit, and what
arrived at the Job Manager, which must be nothing. Then slow bodies and heads, a form that is sent
again, a rate that is exceeded. Ends with 1 where anything went wrong.
"""

import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parent.parent))

from actions_cases import ANA, FORM, Bench, bench, stored
from attacks import RULES, attacks, means, raw, run


def slow(at: Bench) -> tuple[int, list[str]]:
    """A body and a head that do not come; each must be given up in time."""
    has = means(at)
    body = urlencode(has.fields)
    head = f"POST {has.target} HTTP/1.1\r\nHost: {at.host}\r\nOrigin: {at.origin}\r\n"
    head += f"Content-Type: {FORM}\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in at.who(ANA).items())
    wrong = []
    for name, text, good in (
        ("a body that stops", f"{head}\r\n{body[:-1]}", (408,)),
        ("a head that stops", head, (0, 408)),
        ("nothing at all", "", (0, 408)),
    ):
        began, before = time.monotonic(), len(at.audit("refused"))
        status, took = raw(has, text), time.monotonic() - began
        if status not in good or took > 20:
            wrong.append(f"{name}: {status} after {took:.0f} s")
        if len(at.audit("refused")) == before:
            wrong.append(f"{name}: not told in the audit")
    return 3, wrong


def again(at: Bench) -> tuple[int, list[str]]:
    """A form sent twenty times, and more jobs than a minute allows."""
    jobs = at.jobs("Succeeded", owner="ana")
    target, fields = at.form("labels", jobs[:1], set="flag=archive")
    statuses = [at.post(target, fields).status for _ in range(20)]
    wrong = [] if statuses == [303] + [409] * 19 else [f"replay: {statuses}"]
    late = [at.post(*at.form("labels", [job], set="flag=archive")).status for job in jobs[1:8]]
    if late != [303] * 4 + [429] * 3:
        wrong.append(f"rate: {late}")
    if len(at.arrived()) != 5:
        wrong.append(f"replay and rate: the Job Manager saw {len(at.arrived())}, not 5")
    return 22, wrong


def main() -> int:
    whole, faults = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        day = stored(Path(folder) / "day")
        for mode in ("iap", "google", "local"):
            with bench(Path(folder) / mode, day, mode=mode, allow=RULES) as at:
                began = time.monotonic()
                tally = run(at, list(attacks(at)))
                took, count, wrong = time.monotonic() - began, tally.sent, tally.wrong
                print(
                    f"{mode}: {count} requests in {took:.0f} s: {tally.refused} refused, "
                    f"{tally.told} of them told in the audit; the Job Manager saw {tally.actions} "
                    f"actions, and {tally.reads} reads for pages shown again; {len(wrong)} wrong"
                )
                for line in wrong:
                    print(f"  {line}")
                whole, faults = whole + count, faults + len(wrong)
        for name, do, rate in (("slow", slow, 60), ("again", again, 5)):
            with bench(Path(folder) / name, day, mode="iap", allow=RULES, rate=rate) as at:
                count, wrong = do(at)
                print(f"{name}: {count} requests refused, {len(wrong)} wrong")
                for line in wrong:
                    print(f"  {line}")
                whole, faults = whole + count, faults + len(wrong)
    print(f"{whole} requests, {faults} wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
