"""Sizes as people say them, by the thousand: whoever says one says it in the same words."""


def in_words(size: int) -> str:
    """Bytes in words.

    >>> in_words(1), in_words(999), in_words(20_481), in_words(999_960), in_words(73_400_320)
    ('1 byte', '999 bytes', '20.5 KB', '1.0 MB', '73.4 MB')
    """
    if size < 1000:
        return "1 byte" if size == 1 else f"{size} bytes"
    amount = size / 1000
    for unit in ("KB", "MB"):
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} GB"
