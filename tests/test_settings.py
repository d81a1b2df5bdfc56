"""Settings: the file, then the environment, then flags; every mistake named with its place."""

import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmreport.errors import Exit, UsageError
from jmreport.mailboxes import Mailbox, mailbox
from jmreport.settings import Allow, Settings, Slo
from jmreport.settings_example import commented, toml
from jmreport.settings_keys import KEYS, LISTS, SECTIONS
from jmreport.settings_loading import (
    Value,
    from_environment,
    from_text,
    load_told,
    with_value,
)

FILE = Path("jmreport.toml")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a settings file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(
    *, path: Path | None = None, environ: dict[str, str], flags: dict[str, Value] | None = None
) -> Settings:
    return load_told(path=path, environ=environ, flags=flags)[0]


def loaded(text: str, **environ: str) -> Settings:
    FILE.write_text(text, encoding="utf-8")
    return load(environ=environ)


def mistake(text: str = "", **environ: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        loaded(text, **environ)
    assert caught.value.code == Exit.USAGE
    return caught.value


def test_without_a_file_everything_has_its_default() -> None:
    assert load(environ={}) == Settings()


def test_a_file_is_read_where_it_stands() -> None:
    settings = loaded('[api]\nurl = "https://jobs.example.org"\n[collect]\nstatus = ["Failed"]\n')
    assert settings.api.url == "https://jobs.example.org"
    assert settings.collect.status == ("Failed",)


def test_flags_go_before_the_environment_and_that_before_the_file() -> None:
    FILE.write_text('[site]\ntitle = "file"\ndir = "file"\n[snapshots]\ndir = "file-too"\n')
    settings = load(
        environ={"JMREPORT_SITE_TITLE": "environment", "JMREPORT_SITE_DIR": "environment"},
        flags={"site.dir": Value("--site", "flag")},
    )
    assert settings.site.dir == "flag"
    assert settings.site.title == "environment"
    assert settings.snapshots.dir == "file-too"


def test_it_is_known_what_the_file_says_for_commands_that_read_nothing_else() -> None:
    """What holds though the environment or a flag says it too; not what one of them overrules."""
    FILE.write_text('[api]\nurl = "http://a"\npage_size = 5\n[site]\ntitle = "file"\n')
    flags = {"site.title": Value("--title", "flag")}
    _, in_file = load_told(environ={"JMREPORT_API_URL": "http://a"}, flags=flags)
    assert in_file == {"api.url", "api.page_size"}


def test_no_other_file_is_known_to_such_commands(folder: Path) -> None:
    """They would have to name it as cron does."""
    other = folder / "reports.toml"
    other.write_text('[api]\nurl = "http://a"\n')
    FILE.write_text('[api]\nurl = "http://a"\n')
    assert load_told(path=other, environ={})[1] == frozenset()
    assert load_told(environ={"JMREPORT_CONFIG": str(other)})[1] == frozenset()
    assert load_told(environ={})[1] == {"api.url"}


def test_paths_in_a_file_are_relative_to_it(folder: Path) -> None:
    """So that cron may name it from anywhere; those of flags and the environment are not."""
    (folder / "etc").mkdir()
    named = folder / "etc/reports.toml"
    named.write_text('[site]\ndir = "site"\n[api]\ntoken_file = "/run/token"\n')
    settings = load(path=named, environ={"JMREPORT_SNAPSHOTS_DIR": "kept"})
    assert settings.site.dir == str(folder / "etc/site")
    assert settings.api.token_file == "/run/token"  # noqa: S105 - where one would be
    assert settings.snapshots.dir == "kept"


LOCAL = [key for key in KEYS.values() if key.is_local]


@pytest.mark.parametrize("key", LOCAL, ids=lambda key: key.path)
def test_a_bucket_is_no_folder_of_this_machine(key: Any) -> None:
    """It would be a folder called `gs:`, and what is kept there gone with a machine's disk."""
    bucket = "gs://team-reports/x"
    text = f"[{key.section}]\n{key.name} = {toml(bucket)}"
    errors = {
        f"jmreport.toml: {key.path}": mistake(text),
        key.variable: mistake(**{key.variable: bucket}),
    }
    with pytest.raises(UsageError) as caught:
        load(environ={}, flags={key.path: Value("--flag", bucket)})
    errors["--flag"] = caught.value
    for place, error in errors.items():
        assert error.message.startswith(f"{place}: {bucket} is a bucket; ")
    said = errors["--flag"].message
    assert ("snapshots.mirror" in said) == (key.path == "snapshots.dir")
    assert ("publish.to" in said) == (key.path == "site.dir")


def test_an_address_is_no_path_either() -> None:
    """Nor is one with a slash too few. A folder of such a name has a path that says so."""
    assert len(LOCAL) == 9
    assert load(environ={"JMREPORT_SITE_DIR": "./gs:/x"}).site.dir == "./gs:/x"
    message = mistake(JMREPORT_SITE_DIR="https://reports.example.org").message
    assert message.endswith("expected a path, not the address 'https://reports.example.org'")
    assert "not the address 'gs:/x'" in mistake('[nightly]\nheartbeat = "gs:/x"').message


def test_a_path_may_begin_with_a_home_folder_wherever_it_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shell reads what systemd or a pod sets, nor `--site=~/site`."""
    monkeypatch.setenv("HOME", str(folder))
    (folder / "own.toml").write_text('[site]\ntitle = "~/title"\n[api]\ntoken_file = "~/token"\n')
    settings = load(
        environ={"JMREPORT_CONFIG": "~/own.toml", "JMREPORT_SNAPSHOTS_DIR": "~/kept"},
        flags={"site.dir": Value("--site", "~/site")},
    )
    assert settings.api.token_file == str(folder / "token")
    assert settings.snapshots.dir == str(folder / "kept")
    assert settings.site.dir == str(folder / "site")
    assert settings.site.title == "~/title"
    assert load(path=Path("~/own.toml"), environ={}).site.title == "~/title"
    published = with_value(settings, "publish.to", "~/www", "TO")
    assert published.publish.to == str(folder / "www")


def test_a_home_folder_of_nobody_is_named_with_its_place() -> None:
    said = "nobody knows the home folder that '~nouser/x' begins with"
    text = '[site]\ndir = "~nouser/x"'
    assert mistake(text).message == f"jmreport.toml: site.dir: {said}"
    assert mistake(JMREPORT_SITE_DIR="~nouser/x").message == f"JMREPORT_SITE_DIR: {said}"
    assert mistake(JMREPORT_CONFIG="~nouser/x").message == f"JMREPORT_CONFIG: {said}"


#: As Python holds the bytes ff fe of the environment, or of an argument.
NO_TEXT = "\udcff\udcfe"


@pytest.mark.parametrize("key", [key for key in KEYS.values() if key.scalar], ids=lambda k: k.path)
def test_bytes_that_are_no_text_name_files_and_nothing_else(key: Any) -> None:
    if key.is_path:
        [given] = from_environment({key.variable: NO_TEXT}).values()
        assert given.value == NO_TEXT
        return
    message = f"{key.variable}: not UTF-8 text"
    assert mistake(**{key.variable: NO_TEXT}).message == message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("api.url", f"http://127.0.0.1/{NO_TEXT}"),
        ("collect.status", [NO_TEXT]),
        ("collect.labels", {"owner": NO_TEXT}),
        ("collect.labels", {NO_TEXT: "ana"}),
    ],
)
def test_bytes_that_are_no_text_are_named_with_their_flag(key: str, value: object) -> None:
    with pytest.raises(UsageError, match=r"^--flag: not UTF-8 text$"):
        load(environ={}, flags={key: Value("--flag", value)})


def test_a_file_may_begin_with_a_mark_of_its_order_of_bytes() -> None:
    """As some editors write it."""
    assert loaded('\ufeff[site]\ntitle = "Other"\n').site.title == "Other"


def test_the_environment_can_name_the_file(folder: Path) -> None:
    other = folder / "other.toml"
    other.write_text('[site]\ntitle = "Other"\n')
    assert load(environ={"JMREPORT_CONFIG": str(other)}).site.title == "Other"


@pytest.mark.usefixtures("folder")
def test_an_empty_name_of_the_file_is_none() -> None:
    """As of every setting of the environment."""
    assert load(environ={"JMREPORT_CONFIG": ""}) == load(environ={})


def test_a_date_may_be_a_date_of_toml() -> None:
    settings = loaded("[collect]\nstart = 2026-11-16T00:00:00Z\n")
    assert settings.collect.start == "2026-11-16T00:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[api]\nulr = "x"', "jmreport.toml: api.ulr: no such key; did you mean api.url?"),
        ("[repotr]\n", "jmreport.toml: repotr: no such table; did you mean [report]?"),
        ('url = "x"', "jmreport.toml: url: no such key; did you mean api.url?"),
        ("api = 3", "jmreport.toml: api: expected a table, as in [api]"),
        (
            '[api]\nconcurrency = "six"',
            "jmreport.toml: api.concurrency: expected a whole number from 1 to 64, not 'six'",
        ),
        (
            "[api]\nconcurrency = 0",
            "jmreport.toml: api.concurrency: expected a whole number from 1 to 64, not 0",
        ),
        (
            "[api]\ntimeout = 0.0",
            "jmreport.toml: api.timeout: expected a number above 0 and up to 3600, not 0.0",
        ),
        (
            "[api]\nrate = nan",
            "jmreport.toml: api.rate: expected a number from 0 to 10000, not nan",
        ),
        (
            '[api]\ngoogle_scopes = ["openid", "a,b"]',
            "jmreport.toml: api.google_scopes: 'a,b' is no scope: it is one word, without commas",
        ),
        (
            "[api]\ngoogle_auth = 1",
            "jmreport.toml: api.google_auth: expected true or false, not 1",
        ),
        (
            '[site]\nurl = "https://reports.example.org/nightly/index.html"',
            "jmreport.toml: site.url: the folder's address, without index.html, "
            "not 'https://reports.example.org/nightly/index.html'",
        ),
        (
            '[collect]\nstatus = "Failed"',
            "jmreport.toml: collect.status: expected a list of texts, not 'Failed'",
        ),
        (
            '[collect]\ntimeframe = "DAYS_8"',
            "jmreport.toml: collect.timeframe: expected one of HOURS_1, HOURS_8, HOURS_24, "
            "DAYS_7, DAYS_30, ALL_TIME, not 'DAYS_8'",
        ),
        (
            '[collect]\nend = "2026-11-23T02:14:00"',
            "jmreport.toml: collect.end: '2026-11-23T02:14:00' is not a date with an offset, "
            "like 2026-11-23T02:14:00Z",
        ),
        (
            '[report]\ntimezone = "Europe/Berlim"',
            "jmreport.toml: report.timezone: no time zone is called 'Europe/Berlim'; "
            "did you mean Europe/Berlin?",
        ),
        (
            '[report]\ntimezone = "berlin"',
            "jmreport.toml: report.timezone: no time zone is called 'berlin'; "
            "did you mean Europe/Berlin?",
        ),
        (
            '[report]\ntimezone = "CEST"',
            "jmreport.toml: report.timezone: no time zone is called 'CEST', "
            "such as UTC or Europe/Berlin",
        ),
        (
            '[redact]\npatterns = ["("]',
            "jmreport.toml: redact.patterns: not a regular expression: '(' "
            "(missing ), unterminated subpattern at position 0)",
        ),
        (
            '[redact]\npatterns = ["x*"]',
            "jmreport.toml: redact.patterns: 'x*' matches the empty text, so it would match "
            "everywhere",
        ),
        (
            '[site]\ndir = "same"\n[snapshots]\ndir = "same"',
            "site.dir and snapshots.dir are both same",
        ),
        ('[site]\ndir = "a\\u0000b"', "jmreport.toml: site.dir: holds a NUL character"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_path(text: str, message: str) -> None:
    assert mistake(text).message == message


@pytest.mark.parametrize("zone", ["../etc/passwd", "/etc/localtime", "Europe", "", "\x00"])
def test_a_zone_is_a_name_and_never_a_path(zone: str) -> None:
    assert "report.timezone" in mistake(f"[report]\ntimezone = {toml(zone)}").message


@pytest.mark.parametrize(
    "url",
    [
        "jobs.example.org",
        "ftp://jobs.example.org",
        "javascript:alert(1)",
        "https://",
        "https://[",
        "https://a:99999",
        "https://a b",
        "https://a/?x=1",
    ],
)
def test_an_address_is_http_or_https(url: str) -> None:
    assert mistake(JMREPORT_API_URL=url).message.startswith("JMREPORT_API_URL: ")


@pytest.mark.parametrize("name", ["api.token", "api.password", "api.client_secret", "token"])
def test_secrets_are_never_settings(name: str) -> None:
    """Nor shown again by the message that says so."""
    section, _, key = name.rpartition(".")
    error = mistake(f'[{section}]\n{key} = "hunter2"' if section else f'{key} = "hunter2"')
    assert "secrets are never settings" in error.message
    assert "JMREPORT_API_TOKEN" in error.hint
    assert "hunter2" not in error.message + error.hint


@pytest.mark.parametrize(
    "text",
    [
        '[api]\nurl = "https://ana:hunter2@jobs.example.org"',
        '[api]\nheaders = "hunter2"',
        '[api]\nheaders = { Authorization = "hunter2\\n" }',
    ],
)
def test_what_may_hold_a_secret_is_not_shown(text: str) -> None:
    error = mistake(text)
    assert "hunter2" not in error.message + error.hint


def test_what_is_not_toml_says_where() -> None:
    error = mistake("[api]\nurl = https://x\n")
    assert error.message == "jmreport.toml: Invalid value (at line 2, column 7)"
    FILE.write_bytes(b'[site]\ntitle = "\xff"\n')
    with pytest.raises(UsageError, match="not UTF-8 text"):
        load(environ={})


def test_a_file_that_was_asked_for_must_be_there(folder: Path) -> None:
    with pytest.raises(UsageError, match="no settings file") as caught:
        load(path=folder / "not-here.toml", environ={})
    assert "jmreport init" in caught.value.hint
    with pytest.raises(UsageError, match="is a folder"):
        load(path=folder, environ={})


@pytest.mark.parametrize("key", [key for key in KEYS.values() if key.scalar], ids=lambda k: k.path)
def test_every_scalar_key_can_come_from_the_environment(key: Any) -> None:
    """As JMREPORT_<SECTION>_<KEY>, read by the key's type."""
    example = {
        "collect.timeframe": "HOURS_8",
        "report.timezone": "Asia/Tokyo",
        "site.dir": "other",
    }.get(key.path, key.example)
    text = str(example).lower() if isinstance(example, bool) else str(example)
    settings = load(environ={key.variable: text})
    section, name = key.path.split(".")
    assert getattr(getattr(settings, section), name) == example


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("JMREPORT_API_ULR", "x", "JMREPORT_API_ULR: no such setting; did you mean JMREPORT_API_U"),
        (
            "JMREPORT_API_TOKN",
            "x",
            "JMREPORT_API_TOKN: no such setting; did you mean JMREPORT_API_T",
        ),
        ("JMREPORT_SITE", "x", "JMREPORT_SITE: no such setting; did you mean JMREPORT_SITE_DIR?"),
        (
            "JMREPORT_MAX_NEW",
            "3",
            "JMREPORT_MAX_NEW: no such setting; did you mean JMREPORT_GATE_M",
        ),
        ("JMREPORT_API_TRIES", "0", "JMREPORT_API_TRIES: expected a whole number from 1 to 20, no"),
        ("JMREPORT_API_TRIES", "x", "JMREPORT_API_TRIES: expected a whole number from 1 to 20, no"),
        ("JMREPORT_COLLECT_STATUS", "Failed", "JMREPORT_COLLECT_STATUS: lists and tables are not"),
    ],
)
def test_a_mistake_in_the_environment_is_named_with_its_variable(
    name: str, text: str, message: str
) -> None:
    assert mistake(**{name: text}).message.startswith(message)


@pytest.mark.parametrize("name", ["JMREPORT_FOO", "JMREPORT_", "JMREPORT_ZZZZ"])
def test_a_variable_that_is_near_to_none_is_not_guessed(name: str) -> None:
    """That all begin alike makes none near."""
    assert mistake(**{name: "x"}).message == f"{name}: no such setting"


def test_variables_that_are_no_settings_are_left_alone() -> None:
    """An empty one counts as not set, as does everything that is not jmreport's."""
    environ = {"JMREPORT_API_TOKEN": "t", "JMREPORT_SITE_TITLE": "", "PATH": "/bin"}
    assert from_environment(environ) == {}


@pytest.mark.parametrize("service", ["JMREPORT", "JMREPORT_WEB", "JMREPORT_ACTIONS"])
def test_addresses_that_kubernetes_gives_each_pod_are_no_settings(service: str) -> None:
    """Of a Service called jmreport, jmreport-web or jmreport-actions; written by hand they are
    settings, or mistakes."""
    port = f"{service}_PORT_443_TCP"
    environ = {
        f"{service}_SERVICE_HOST": "10.96.0.7",
        f"{service}_SERVICE_PORT": "443",
        f"{service}_SERVICE_PORT_HTTPS": "443",
        f"{service}_PORT": "tcp://10.96.0.7:443",
        port: "tcp://[fd00::7]:443",
        f"{port}_PROTO": "tcp",
        f"{port}_PORT": "443",
        f"{port}_ADDR": "fd00::7",
    }
    assert from_environment(environ) == {}
    assert from_environment({"JMREPORT_ACTIONS_PORT": "8443"})["actions.port"].value == 8443
    assert "no such setting" in mistake(**{f"{service}_SERVICE_PORT": "web"}).message


def test_text_that_looks_like_nothing_is_text() -> None:
    assert load(environ={"JMREPORT_COLLECT_NAME": "null"}).collect.name == "null"


def uncommented(text: str) -> str:
    """The written file with every shown key set."""
    return "\n".join(
        line[1:] if line[:1] == "#" and line[1:2] not in ("", " ") else line
        for line in text.splitlines()
    )


def test_the_written_file_changes_nothing_until_it_is_changed() -> None:
    assert loaded(commented({})) == Settings()


def test_the_written_file_shows_every_key_with_its_meaning_and_decodes_when_uncommented() -> None:
    text = commented({})
    tree = tomllib.loads(uncommented(text))
    assert set(paths(tree)) == set(KEYS)
    assert all(f"# {key.meaning}\n" in text for key in KEYS.values())
    settings = loaded(uncommented(text))
    assert isinstance(settings, Settings)
    for key in KEYS.values():
        table: Any = settings
        for name in key.section.split("."):
            table = getattr(table, name)
        if not key.meta.examples:
            assert getattr(table[0] if key.listed else table, key.name) == key.default


def paths(tree: dict[str, Any], above: str = "") -> Iterator[str]:
    """Every key of a settings file by its path, those of the first table of a list included."""
    for name, held in tree.items():
        path = f"{above}{name}"
        if path in KEYS:
            yield path
        else:
            yield from paths(held[0] if path in LISTS else held, f"{path}.")


def test_every_key_has_a_meaning_and_every_default_passes_its_own_check() -> None:
    assert len(KEYS) > 30
    assert all(key.meaning.endswith(".") for key in KEYS.values())
    assert {*SECTIONS, *LISTS} == {key.section for key in KEYS.values()}
    assert msgspec.convert(msgspec.to_builtins(Settings()), Settings) == Settings()


def test_tables_within_a_table_may_be_given_again_too() -> None:
    text = """
        [actions]
        rate = 5
        [[actions.allow]]
        who = "ana@example.org"
        actions = ["abort"]
        labels = { team = "germline" }
        [[actions.allow]]
        who = "*@example.org"
    """
    actions = loaded(text).actions
    assert actions.rate == 5
    assert actions.allow == (
        Allow(who="ana@example.org", actions=("abort",), labels={"team": "germline"}),
        Allow(who="*@example.org", actions=("read",)),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[actions]\nallow = 3", "actions.allow: expected tables, as in [[actions.allow]]"),
        ('[[actions.allow]]\nactions = ["abort"]', "actions.allow: table 1 has no who"),
        ('[[actions.allow]]\nwho = "a@b"\nactions = ["fly"]', "'fly' is not one of read, abort"),
        ('[[actions.allow]]\nwho = "a b"', "'a b' is neither an address nor *@ and a domain"),
        ('[[actions.allow]]\nwho = "a@b"\nacts = []', "actions.allow.acts: no such key"),
        ('[actions]\nurl = "https://a.example/x"', "an address without a path"),
        ('[actions]\nkeys_url = "http://a.example/x"', "an https:// address"),
        ('[actions]\nmode = "open"', "expected one of local, iap, google, not 'open'"),
    ],
)
def test_mistakes_within_such_tables_are_named_with_their_place(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(text)
    assert said in caught.value.message


def test_a_table_that_may_be_given_again_is_read_each_time() -> None:
    text = '[[slo]]\nlabel = "tier=gold"\ntarget = 0.99\n[[slo]]\nlabel = "owner"\ntarget = 95\n'
    assert loaded(text).slo == (
        Slo(label="tier=gold", target=0.99),
        Slo(label="owner", target=95),
    )
    assert [slo.share for slo in loaded(text).slo] == [0.99, 0.95]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slo = 3", "jmreport.toml: slo: expected tables, as in [[slo]]"),
        ('[slo]\nlabel = "a"', "jmreport.toml: slo: expected tables, as in [[slo]]"),
        ('[[slo]]\nlabel = "a"', "jmreport.toml: slo: table 1 has no target"),
        (
            '[[slo]]\nlabel = "a"\ntarget = 900',
            "jmreport.toml: slo: target of table 1: expected a number above 0 and up to 100, "
            "not 900",
        ),
        (
            '[[slo]]\nlabel = "a"\ntarget = 1\ntraget = 2',
            "jmreport.toml: slo.traget: no such key; did you mean slo.target?",
        ),
        (
            '[gate]\nfail_on = ["new"]',
            "jmreport.toml: gate.fail_on: 'new' is not one of new-failures, incomplete, slo",
        ),
        (
            "[gate]\nmax_new = -1",
            "jmreport.toml: gate.max_new: expected a whole number of at least 0, not -1",
        ),
        (
            '[prices]\ntasks = { Align = "much" }',
            "jmreport.toml: prices.tasks: expected a table of numbers, not {'Align': 'much'}",
        ),
        *(
            (
                f"[prices]\ntasks = {{ Sort = 0, Align = {price} }}",
                "jmreport.toml: prices.tasks: 'Align': expected a number from 0 to 1000000, "
                f"not {price}",
            )
            for price in ("nan", "inf", "-1.0", "1000001.0")
        ),
    ],
)
def test_a_mistake_in_the_reports_tables_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        loaded(text)
    assert raised.value.message == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[mail]\nsmtp = "smtp.example.org"', "'smtp.example.org' is not a host and a port"),
        ('[mail]\nsmtp = "a b:25"', "'a b:25' is not a host and a port"),
        ('[mail]\nsender = "reports"', "'reports' is not one address"),
        ('[mail]\nsender = "a@b.c, d@e.f"', "'a@b.c, d@e.f' is not one address"),
        ('[mail]\nreply_to = "a@b.c\\r\\nBcc: x@y.z"', "holds characters that no address has"),
        ('[mail]\nsender = "a@b.c\\u2028"', "holds characters that no address has"),
        ('[mail]\nsender = "=?utf-8?q?=0d=0aBcc:?= <a@b.c>"', "or holds one of"),
        ('[mail]\nspool = "site/spool"', "mail.spool is site/spool, in the folder of the pages"),
        ('[mail]\npassword = "hunter2"', "no such key, and secrets are never settings"),
        ('[[teams]]\nname = "a"', "teams: table 1 has no to"),
        ('[[teams]]\nname = "a"\nto = []', "to of table 1: expected a list of texts, 1 at least"),
        ('[[teams]]\nname = "a"\nto = ["a@b.c", "<d@e.f>, g@h.i"]', "is not one address"),
        ('[[teams]]\nname = ""\nto = ["a@b.c"]', "name of table 1: expected text of 1 to 200"),
        (
            '[[teams]]\nname = "a"\nto = ["a@b.c"]\nsend = "never"',
            "send of table 1: expected one of always, on-change, on-failure, not 'never'",
        ),
        (
            '[[teams]]\nname = "a"\nto = ["a@b.c"]\nattach = ["pdf"]',
            "attach of table 1: 'pdf' is not one of csv, json",
        ),
        (
            '[[teams]]\nname = "a"\nto = ["a@b.c"]\n[[teams]]\nname = "a"\nto = ["d@e.f"]',
            "teams: two are called 'a'",
        ),
    ],
)
def test_a_mistake_about_mails_is_named_with_its_place(text: str, said: str) -> None:
    error = mistake(text)
    assert said in error.message
    assert "hunter2" not in error.message + error.hint


def test_a_team_is_read_with_its_addresses_and_labels() -> None:
    text = '[[teams]]\nname = "g"\nto = ["Bo Li <bo@example.org>"]\nlabels = { owner = "ana" }\n'
    [team] = loaded(text).teams
    assert (team.send, team.labels, team.attach) == ("always", {"owner": "ana"}, ())
    assert mailbox(team.to[0]) == Mailbox("bo@example.org", "Bo Li")


@given(st.text(max_size=60))
def test_no_address_holds_what_ends_a_line(text: str) -> None:
    """Whatever is let in is one address in ASCII, with a name that stays where it is put."""
    with suppress(ValueError):
        found = mailbox(f"{text}@example.org")
        assert found.address.isascii()
        assert not set(found.address + found.name) & set('\r\n\0,;<>\u2028\u2029"')


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_the_written_file(text: str) -> None:
    """Quotes, line ends, control characters and all."""
    written = from_text(commented({"site.title": text}), file=FILE)
    assert written["site.title"].value == text


@given(st.text(max_size=200))
def test_no_file_makes_a_traceback(text: str) -> None:
    with suppress(UsageError):
        from_text(text, file=FILE)
