"""Where a server's addresses lead, and how much of its text a page takes."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from jmreport.render import values, words
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


class _Counting:
    """The room of a page, each text looked at as soon as it is shown."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, text: str, longest: int) -> str:
        most = min(longest, max(self.left // 2, 0))
        if most < 60 < len(text):
            return f"… {words.number(len(text))} characters left out …"
        if len(text) <= most:
            return self._counted(text)
        gone, half = words.number(len(text) - most), most // 2
        last = text[len(text) - half :]
        return self._counted(f"{text[:half]}\n… {gone} characters left out …\n{last}")

    def name(self, text: str, longest: int) -> str:
        room = longest if self.left > 0 else min(longest, 30)
        return self._counted(words.cut_middle(text, room))

    def _counted(self, text: str) -> str:
        if len(text) < 40:
            self.left -= 2 * len(text)
        else:
            wide = 1 if text.isascii() else 3
            self.left -= sum(wide + 4 * (letter in "<>&\"'") for letter in text)
        return text


_TEXTS = st.builds(
    lambda piece, times: piece * times,
    st.text(st.sampled_from("ab<&\"'>é—\n"), max_size=30),
    st.sampled_from([1, 3, 10, 60]),
)


@given(
    st.integers(0, 12_000),
    st.lists(
        st.tuples(st.booleans(), _TEXTS, st.sampled_from([20, 30, 60, 300, 2_000])), max_size=40
    ),
)
def test_a_page_takes_what_it_would_if_each_text_were_looked_at(
    size: int, asked: list[tuple[bool, str, int]]
) -> None:
    """Texts count as the most they can come to first, and what they come to decides in the end."""
    budget, counting = values.Budget(size), _Counting(size)
    for is_name, text, longest in asked:
        if is_name:
            assert budget.name(text, longest) == counting.name(text, longest)
        else:
            assert budget.take(text, longest) == counting.take(text, longest)
