"""Hugo on the same jobs: doing the same work from the records, and printing a prepared view.

work/same-work/data/jobs-0000.json       [{"address": "…", "id": …, "detail": …}, …]
work/view/data/jobs-0000.json            [{"address": "…", "title": …, "facts": …}, …]
work/*/content/jobs/_content.gotmpl      a page for each (hugo/content.gotmpl)
"""

import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from bench import bare, words
from bench.pages import Site, without_diagram
from jmreport.render import jobpage

_HERE = Path(__file__).parent / "hugo"
#: Jobs of a file of data.
_A_FILE = 1_000


def prepare(kind: str, site: Site, where: Path) -> None:
    """A site of Hugo's; `kind` is "same-work" or "view"."""
    shutil.rmtree(where, ignore_errors=True)
    (where / "content/jobs").mkdir(parents=True)
    (where / "data").mkdir()
    shutil.copy(_HERE / "hugo.toml", where)
    shutil.copy(_HERE / "content.gotmpl", where / "content/jobs/_content.gotmpl")
    shutil.copytree(_HERE / kind, where / "layouts")
    head, foot = bare.framed(site.page(next(site.records()))[1].decode())
    (where / "layouts/_partials/head.html").write_text(head)
    (where / "layouts/_partials/foot.html").write_text(foot)
    jobs = _records(site) if kind == "same-work" else _views(site)
    number = 0
    while part := list(islice(jobs, _A_FILE)):
        (where / f"data/jobs-{number:04}.json").write_bytes(msgspec.json.encode(part))
        number += 1


def _records(site: Site) -> Iterator[dict[str, Any]]:
    for record in site.records():
        address = bare.address(record.id).removesuffix(".html").rpartition("/")[2]
        yield {"address": address, **msgspec.to_builtins(record)}


def _views(site: Site) -> Iterator[dict[str, Any]]:
    for record in site.records():
        view = jobpage.view(record, site.contexts[record.id], site.facts)
        fields = {name: getattr(view, name) for name in view.__struct_fields__}
        del fields["shards"]  # made one at a time, and there are none here
        address = view.address.removesuffix(".html").rpartition("/")[2]
        yield {**msgspec.to_builtins(fields), "address": address}


def command(hugo: Sequence[str], where: Path) -> list[str]:
    """What makes a site anew."""
    return [*hugo, "--quiet", "--source", str(where), "--destination", str(where / "public")]


def same(site: Site, where: Path) -> float:
    """How much of the words of a page is also on Hugo's page of that job."""
    address, ours = site.page(next(site.records()))
    theirs = (where / "public" / address).read_text()
    return words.alike(without_diagram(ours.decode()), theirs)
