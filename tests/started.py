"""The program as its shell would start it, whoever runs the tests and from where.

    subprocess.Popen(heeding("abort", "J", "--yes"), …)

Ctrl-C is heeded, which a shell's background jobs ignore, and so do their children. With a terminal
for stdin, and a session of its own, that terminal is its own: what is typed there comes as a
signal. It is all done by the process itself before it becomes the program, since nothing is safe
between fork and exec of a process with threads.
"""

import sys

_FIRST = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)
if os.isatty(0):
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "jmreport", *sys.argv[1:]])
"""


def heeding(*args: str) -> list[str]:
    """The command that starts `jmreport` with these arguments."""
    return [sys.executable, "-c", _FIRST, *args]
