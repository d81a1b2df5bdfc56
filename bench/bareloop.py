"""Bare f-strings (bare.py) over a store's records, in some processes; knows nothing of jmreport.

    python -m bench.bareloop SNAPSHOTS OUT FRAME [WORKERS]

Each process takes its share of the files of records, of their lines where there are too few. FRAME
is a page of jmreport's, whose header and footer all pages get.
"""

import multiprocessing
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench import bare

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def lines(snapshots: Path, share: int, of: int) -> Iterator[bytes]:
    """The records of one share of so many."""
    paths = sorted(snapshots.glob("runs/*/jobs-*.jsonl.zst"))
    own = paths[share::of] if len(paths) >= of else paths
    for path in own:
        with zstd.open(path, "rb") as stream:
            yield from stream if own is not paths else islice(stream, share, None, of)


def main(snapshots: str, out: str, page: str, workers: str = "2") -> None:
    """Writes a page for each record, and says their bytes."""
    frame, count = bare.framed(Path(page).read_text()), int(workers)
    with multiprocessing.get_context("fork").Pool(count) as pool:
        shares = [(Path(snapshots), Path(out), frame, at, count) for at in range(count)]
        print(sum(pool.starmap(_share, shares)), "bytes")
        pool.close()
        pool.join()


def _share(snapshots: Path, out: Path, frame: tuple[str, str], share: int, of: int) -> int:
    return bare.write(lines(snapshots, share, of), out, frame)


if __name__ == "__main__":
    main(*sys.argv[1:])
