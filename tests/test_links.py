"""Where a server's addresses lead, and how much of its text a page takes."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from jmreport.render import values
from jmreport.render.links import Links

_CONSOLE = "https://console.cloud.google.com/storage"


@given(st.text(st.sampled_from("abzAZ019._~/-%#? &é\n"), min_size=1, max_size=12))
def test_an_object_leads_to_its_page_in_the_console_whatever_its_name_is_made_of(name: str) -> None:
    """Most names need no quoting and go a shorter way; both ways lead to the same page."""
    kind = "browser" if name.endswith("/") else "browser/_details"
    expected = f"{_CONSOLE}/{kind}/bucket/{quote(name.rstrip('/'))}".rstrip("/")
    stays = any(part in (".", "..") for part in name.split("/"))
    assert Links().href(f"gs://bucket/{name}") == (None if stays else expected)


@given(st.text(st.sampled_from("a<&\"'>é—"), max_size=200), st.integers(0, 80))
def test_what_is_cut_takes_as_much_of_the_page_as_what_is_shown_of_it(
    text: str, longest: int
) -> None:
    budget = values.Budget(10_000)
    shown = budget.take(text, longest)
    told = values.Budget(10_000)
    assert told.take(shown, len(shown)) == shown
    if longest >= 60 or len(text) <= longest:
        assert vars(budget) == vars(told)
