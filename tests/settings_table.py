"""The tables of docs/settings.md, made from the settings themselves.

`python tests/settings_table.py` prints them.
"""

from jmreport.settings_example import toml
from jmreport.settings_keys import KEYS, LISTS, SECTIONS


def table(section: str) -> str:
    """A section's table: a row a key."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for key in KEYS.values():
        if key.section == section:
            default = "—" if key.default in (None, (), {}) else f"`{toml(key.default)}`"
            rows.append(f"| `{key.path}` | {default} | {key.meaning} |")
    return "\n".join(rows)


if __name__ == "__main__":
    for name, struct in SECTIONS.items():
        print(f"## `[{name}]`\n\n{struct.__doc__}\n\n{table(name)}\n")
    for name, struct in LISTS.items():
        print(f"## `[[{name}]]`\n\n{struct.__doc__}\n\n{table(name)}\n")
