"""Sizes and counts as people say them: whoever says one says it in the same words."""


def in_words(size: int) -> str:
    """Bytes in words, by the thousand.

    >>> in_words(1), in_words(999), in_words(20_481), in_words(999_960), in_words(73_400_320)
    ('1 byte', '999 bytes', '20.5 KB', '1.0 MB', '73.4 MB')
    """
    if size < 1000:
        return counted(size, "byte")
    amount = size / 1000
    for unit in ("KB", "MB"):
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} GB"


def counted(number: int, what: str) -> str:
    """So many of something, in a line of a command or a gap: pages group the digits of thousands.

    >>> counted(0, "job"), counted(1, "job"), counted(2500, "job")
    ('0 jobs', '1 job', '2500 jobs')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
