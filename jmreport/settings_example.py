"""The commented settings file: every key, its meaning and its default, ready to be changed.

    [api]
    # Which Job Manager, and how to speak with it.

    # Address of the Job Manager, with or without /api/v1.
    #url = "https://jobs.example.org"

Made from the Structs of `jmreport.settings`, so that it cannot tell of keys that aren't there.
"""

import json
from collections.abc import Mapping
from typing import Any

from jmreport.settings_keys import KEYS, LISTS, SECTIONS, Key

HEAD = """\
# The settings of jmreport. A line that begins with "#" and a key shows the default, or an example
# where there is none: take the "#" away to set it.
#
# JMREPORT_<SECTION>_<KEY> in the environment goes before this file, and flags before both.
# Paths are relative to this file. Secrets never stand here: the token comes from JMREPORT_API_TOKEN
# or from the file that api.token_file names.
"""


def commented(values: Mapping[str, Any]) -> str:
    """The text of a settings file that sets `values` (by key) and shows every other key."""
    parts = [HEAD]
    for section, struct in SECTIONS.items():
        parts.append(f"\n[{section}]\n# {struct.__doc__}\n")
        keys = (key for key in KEYS.values() if key.section == section)
        parts.extend(_entry(key, values) for key in keys)
    for name, struct in LISTS.items():
        parts.append(f"\n#[[{name}]]\n# {struct.__doc__}\n")
        keys = (key for key in KEYS.values() if key.section == name)
        parts.extend(_entry(key, {}) for key in keys)
    return "".join(parts)


def _entry(key: Key, values: Mapping[str, Any]) -> str:
    given = key.path in values
    value = values[key.path] if given else key.example
    return f"\n# {key.meaning}\n{'' if given else '#'}{key.name} = {toml(value)}\n"


def toml(value: Any) -> str:
    """A value as TOML writes it: text, numbers, true and false, lists, and tables in one line."""
    if isinstance(value, str):
        # JSON's text is TOML's, except that TOML wants DEL escaped too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        pairs = ", ".join(f"{toml(name)} = {toml(held)}" for name, held in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(held) for held in value)}]"
    return repr(value)
