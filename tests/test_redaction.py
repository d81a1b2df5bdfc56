"""Secrets are taken out before anything is written, and nothing else is."""

import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doses import dose
from hypothesis import example, given, settings
from hypothesis import strategies as st
from snapshot_cases import NOW, opened, record, row, run_of

from jmreport import gaps
from jmreport.errors import Exit, UsageError
from jmreport.gaps import Gap
from jmreport.pipeline.asking import hider
from jmreport.records import Asked, Filters, Record
from jmreport.settings import Redact, Settings
from jmreport.snapshots import Redaction
from jmreport.snapshots.rules import Fragments

CANARY = "canary-8f3Kq2zL9w"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlY2FuYXJ5"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n{CANARY}\n-----END RSA PRIVATE KEY-----"


def clean(tree: Any, **settings: Any) -> Any:
    return Redaction(Redact(**settings)).tree(tree)[0]


@pytest.mark.parametrize(
    "name",
    [
        "token", "accessToken", "access_token", "X-Auth-Token", "germline.db_password", "DB_PASSWD",
        "userpassword", "secret", "clientSecret", "Authorization", "Proxy-Authorization", "apikey",
        "api_key", "API key", "APIKey", "privateKey", "private_key_id", "AWS_SECRET_ACCESS_KEY",
        "aws.access.key.id", "Cookie", "sessionKey", "session_id", "credentials", "tokens", "jwt",
        "bearer", "passphrase", "storageAccountKey", "DB_PWD", "auth", "DB_PASS", "smtpPass",
        "githubtoken", "token1", "password2", "kebab-api-key", "dotted.client.secret", "TOKEN_V2",
        "x-goog-auth-token", "HTTPPassword", "mysecret",
    ],
)  # fmt: skip
def test_the_text_under_a_secrets_name_is_taken_out(name: str) -> None:
    """By whole words, in any spelling, in the key, in name-and-value pairs, and inside texts."""
    assert clean({name: CANARY}) == {name: "[taken out]"}
    assert clean({name: [{"x": CANARY, "n": 1}]}) == {name: [{"x": "[taken out]", "n": 1}]}
    assert clean([{"name": name, "value": CANARY}]) == [{"name": name, "value": "[taken out]"}]
    assert CANARY not in str(clean(msgspec.json.encode({"a": {name: CANARY}}).decode()))
    if " " not in name:
        assert clean(f"run --x=1 {name}={CANARY} --y") == f"run --x=1 {name}=[taken out] --y"
        assert CANARY not in clean(f'export {name}="{CANARY}"')
        assert clean(f"run --{name} {CANARY} in.bam") == f"run --{name} [taken out] in.bam"


@pytest.mark.parametrize(
    "tree",
    [
        {"tokenizer": "bpe"},
        {"secretary": "Ada", "tokenization": "on", "secretion": "low", "passage": "3"},
        {"qc_pass": "PASS", "pass": "2", "filter": {"pass": "sample one"}, "passed": "x"},
        {"events": [{"name": "RequestingExecutionToken", "RequestingExecutionToken": "2 s"}]},
        "basic alignment, basic preprocessing and Basic authentication",
        {"nextPageToken": "abcdef"},
        {"max_tokens": "4096"},
        {"max_tokens": 4096},
        {"tokens": 12, "token": "17"},
        {"token_count": "many"},
        {"password_file": "gs://bucket/file"},
        {"PWD": "/home/ada"},
        {"author": "Ada", "keyboard": "qwertz", "monkey": "x", "passed": "PASS"},
        {"requires_password": True, "password": None, "secret": ""},
        {"id": "job", "status": "Failed", "operationId": "projects/p/operations/9675"},
        {"callRoot": "gs://bucket/wf/call-Align/shard-3", "start": "2026-11-23T17:11:43+00:00"},
        {"email": "ada@example.org", "url": "https://example.org/a?page=2&sign=1"},
        "Unexpected token: foo in line 3",
        "GOOGLE_AUTH: expected true or false",
        "wf.db_password: no such input; API_TOKEN: not set",
        "the secret of success",
        "Bearer authentication required",
        "WWW-Authenticate: Bearer realm=x",
        "key: value, sample=NA12878, reads=12",
        "gs://bucket/wf/call-A/stderr: exit code=137",
    ],
)
def test_what_only_looks_like_a_secret_stays(tree: Any) -> None:
    assert Redaction().tree(tree) == (tree, 0)


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        (f"https://s.example/o?X-Goog-Date=1&X-Goog-Signature={CANARY}&x=1", "X-Goog-Date=1"),
        (f"https://s.example/o?Expires=1&Signature={CANARY}", "Expires=1"),
        (f"https://a.example/c?se=2026&sig={CANARY}%3D", "se=2026"),
        (f"https://s.example/o?X-Amz-Signature={CANARY}", "s.example"),
        (f"next%3Fa%3D1%26X-Goog-Signature%3D{CANARY}%26b%3D2", "%26b%3D2"),
        (f"curl -H 'Authorization: Bearer {CANARY}' https://x", "https://x"),
        (f"Authentication: Bearer {CANARY}", "Bearer"),
        (f"authorization: Basic {CANARY}==", "Basic"),
        (f"got bearer {CANARY}, tried again", "tried again"),
        (f"header {JWT} refused", "refused"),
        (f"key:\n{PEM}\nend", "end"),
        (f"cut short {PEM[:80]}", "cut short"),
        (f"ya29.{CANARY}{CANARY} expired", "expired"),
        ("AIzaSyCanary0123456789canary0123456789x", ""),
        ("AKIAIOSFODNN7CANARYX wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARYXKEY", ""),
        ("ghp_canary0123456789canary0123456789ab pushed", "pushed"),
        ("github_pat_canary0123456789canary0123456789", ""),
        ("xoxb-canary-0123456789-canary", ""),
        ("sent Basic Y2FuYXJ5OmNhbmFyeS1wYXNz and failed", "and failed"),
        ("npm_canary0123456789canary0123456789 used", "used"),
        ("sk-ant-canary0123456789canary0123", ""),
        ("AccountName=a;AccountKey=canary0123/+==;EndpointSuffix=x", "EndpointSuffix=x"),
        (f"sv=2022&se=2026&sig={CANARY}&sp=r", "sp=r"),
        (f"login --password={CANARY} --user ada", "--user ada"),
        (f"{'long_' * 40}password={CANARY} end", "end"),
        (f"password={CANARY}[3#x end", "end"),
        (f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{CANARY}\n", ""),
        ("https://hooks.slack.com/services/T000/B000/canary0123", "hooks.slack.com"),
        (f"postgres://jm:{CANARY}@db.example/jobs", "db.example/jobs"),
        (f"https://{CANARY}@git.example/x.git", "git.example/x.git"),
        (f"Set-Cookie: sid={CANARY}; Path=/\nnext", "next"),
        (f'{{"error": {{"password": "{CANARY}"}}}}', "error"),
        (f'say "{{\\"password\\": \\"{CANARY}\\"}}" twice', "twice"),
        (f"X-Api-Key: {CANARY}\nAccept: text/plain", "text/plain"),
        (f"Authorization: ApiKey {CANARY}\nnext", "next"),
        ("Authorization: Own canaryWithoutADigit\nnext", "next"),
        (f"authorization: {CANARY} was refused", "was refused"),
        (f"password := {CANARY} end", "end"),
        (f"password => '{CANARY}' end", "end"),
        (f"a=1%26password%3D{CANARY}%26b=2", "%26b=2"),
        (f"<password>{CANARY}</password><b/>", "<b/>"),
        (f'first {{"password": "{CANARY} and {CANARY}', "first"),
        (f"first\npassword='{CANARY} and\nlast", "last"),
        (f"password='it\\'s {CANARY}' last", "last"),
        ("token: canary9c1d4e5f60718293a4 end", "end"),
        (f"{'canaryA1' * 8}\n{'canaryA1' * 8}\ncanary=\n-----END PRIVATE KEY-----\nlog", "log"),
        (f"log: a line\n{'canaryA1' * 8}\ncanary=\n-----END RSA PRIVATE KEY-----\nmore", "log"),
        ("canaryA1\\n-----END PRIVATE KEY-----\\n more", "more"),
        ("https://ada:canary@canary@db.example/jobs", "db.example/jobs"),
        ("curl -sS -u ada:canary https://x.example", "https://x.example"),
        ("curl --proxy-user 'ada:canary' https://x.example", "https://x.example"),
        ("sshpass -p canary ssh host", "ssh host"),
        ("docker login -u ada -p canary gcr.io", "gcr.io"),
        ("AGE-SECRET-KEY-1CANARYCANARYCANARYCANARY", ""),
        ("mysqldump -h db -u ada -pcanary --all-databases", "--all-databases"),
        ("redis-cli -h db -a canary ping", "ping"),
        ("machine db login ada password canary end", "end"),
        ('env=[{"name": "DB_PASSWORD", "value": "canary"}] end', "end"),
        ('\n {"env": [{"name": "DB_PASSWORD", "value": "canary"}], "x": "end"}', "end"),
        ("env:\n  - name: API_TOKEN\n    value: canary\n  - name: X\n    value: end", "end"),
        ("{'key': 'DB_PASSWORD', 'value': 'canary'} end", "end"),
        ('environment { key: "DB_PASSWORD" value: "canary" } end', "end"),
        (r'{\"name\": \"DB_PASSWORD\",\n   \"value\": \"canary\"} end', "end"),
        ('{"name": "DB_PASSWORD", "value": "can' "ary was cut here", "DB_PASSWORD"),
    ],
)  # fmt: skip
def test_a_secrets_shape_is_taken_out_of_any_text(text: str, stays: str) -> None:
    """The rest of the text stays; a second time finds nothing more; keys of objects are texts."""
    for tree in (text, {"x": [text]}, {text: 1}):
        found, count = Redaction().tree(tree)
        shown = str(found)
        assert "canary" not in shown.lower()
        assert "[taken out]" in shown
        assert stays in shown
        assert count >= 1
        assert Redaction().tree(found) == (found, 0)


@pytest.mark.parametrize(
    ("tree", "clean"),
    [
        (["run", "--token", CANARY, "in.bam"], ["run", "--token", "[taken out]", "in.bam"]),
        ({"commands": ["-token", CANARY]}, {"commands": ["-token", "[taken out]"]}),
        (["--token", "--verbose", "in.bam"], ["--token", "--verbose", "in.bam"]),
        (["--tokenizer", "bpe"], ["--tokenizer", "bpe"]),
        ({"Name": "DB_PASSWORD", "Value": CANARY}, {"Name": "DB_PASSWORD", "Value": "[taken out]"}),
        ([{"key": "token", "val": CANARY}], [{"key": "token", "val": "[taken out]"}]),
        ({"x-goog-signature": CANARY}, {"x-goog-signature": "[taken out]"}),
        ({"signature": "SBS1"}, {"signature": "SBS1"}),
        ({"wf.db_password": 12345678}, {"wf.db_password": "[taken out]"}),
        ({"name": "DB_PASSWORD", "value": 1.5}, {"name": "DB_PASSWORD", "value": "[taken out]"}),
        ({"api_keys": 3, "tokens": 12}, {"api_keys": 3, "tokens": 12}),
    ],
)  # fmt: skip
def test_lists_of_arguments_and_of_pairs_are_looked_into(tree: Any, clean: Any) -> None:
    """A flag's value is the next argument; names with values come in capitals too; so do digits."""
    found, count = Redaction().tree(tree)
    assert found == clean
    assert count == (tree != clean)
    assert Redaction().tree(found) == (found, 0)


@pytest.mark.parametrize(
    "text",
    ["DB_PASSWORD: expected1", "DB_PASSWORD: notary", "DB_PASSWORD: no-canary", "DB_PASSWORD=is",
     "DB_PASSWORD: 'missing'", '"DB_PASSWORD": "not"', "DB_PASSWORD:must", "--db-password is"],
)  # fmt: skip
def test_only_a_whole_word_of_those_that_speak_about_a_name_stays_behind_it(text: str) -> None:
    """Nothing that merely begins so, is quoted, or is given in another way than one says it."""
    found, count = Redaction().text(text)
    assert count == 1
    assert "[taken out]" in found
    assert Redaction().text(found) == (found, 0)


def test_a_flags_value_is_hashed_where_its_name_is() -> None:
    redaction = Redaction(Redact(hash=("sample",)), salt=b"x")
    found, _ = redaction.tree({"a": ["--sample", "NA12878"], "sample": "NA12878"})
    assert found["a"] == ["--sample", found["sample"]]
    assert HASH.fullmatch(found["sample"])


def test_a_record_is_cleaned_everywhere_and_counts_what_it_lost() -> None:
    """Names of tasks are names: a task called GetToken keeps its attempts."""
    secret = {"password": CANARY}
    found = Redaction().record(
        Record(
            id="x",
            row=secret,
            detail=secret,
            attempts={"GetToken": {"attempts": [{"executionStatus": "Failed", "inputs": secret}]}},
            shard_attempts={"GetToken": {"0": secret}},
            logs={f"gs://b/log?sig={CANARY}": {"contents": f"password={CANARY}"}},
            operations={"op": {"details": msgspec.json.encode(secret).decode()}},
            gaps=(Gap(what="job", why=f"401 Bearer {CANARY}"),),
        )
    )
    assert CANARY not in msgspec.json.encode(found).decode()
    assert found.taken_out == 8
    assert found.attempts["GetToken"]["attempts"][0]["executionStatus"] == "Failed"
    assert found.operations["op"]["details"] == '{"password":"[taken out]"}'


def test_a_job_keeps_its_id_whatever_it_looks_like() -> None:
    """An id is an address: everything hangs on it."""
    odd = "ghp_canary0123456789canary0123456789ab"
    found = Redaction().record(Record(id=odd, row={"id": odd}, detail={"id": odd, "x": odd}))
    assert (found.id, found.row["id"], found.detail["id"]) == (odd, odd, odd)
    assert found.detail["x"] == "[taken out]"


def test_settings_add_names_keep_names_and_add_patterns() -> None:
    """A name of one's own takes numbers out too; `keep` wins; spelling does not matter."""
    tree = {"wf.patientMRN": 12345, "accessToken": CANARY, "note": "case P-1234 seen"}
    found = clean(tree, keys=("patient mrn",), keep=("access_token",), patterns=(r"P-\d+",))
    assert found == {
        "wf.patientMRN": "[taken out]",
        "accessToken": CANARY,
        "note": "case [taken out] seen",
    }


def test_a_bad_pattern_is_named_with_its_place() -> None:
    with pytest.raises(UsageError, match=r"redact\.patterns\[1\]") as told:
        Redaction.of(Redact(patterns=("fine", "(broken")))
    assert told.value.code is Exit.USAGE
    assert "(broken" in told.value.hint


HASH = re.compile(r"hash:[0-9a-f]{16}")


def test_a_value_that_is_hashed_is_hashed_wherever_its_job_names_it() -> None:
    """In names, paths, messages, commands and JSON inside texts; as a whole word only."""
    redaction = Redaction(Redact(hash=("sample",)), salt=b"x")
    found = redaction.record(
        Record(
            id="job-NA12878",
            row={"id": "job-NA12878", "name": "align NA12878", "labels": {"sample": "NA12878"}},
            detail={
                "id": "job-NA12878",
                "status": "Failed",
                "inputs": {"wf.sample": "NA12878", "bam": "gs://b/NA12878_R1.bam", "n": 3},
                "failures": [{"failure": "NA12878: no reads; NA128789 is another"}],
                "labels": {"NA12878": "key"},
            },
            attempts={"Align": {"attempts": [{"callRoot": "gs://b/NA12878/call-Align"}]}},
            logs={"gs://b/NA12878.log": {"contents": "run --sample NA12878 --sample NA99999"}},
            operations={"op": {"details": '{"env": {"sample": "NA55555"}}'}},
            gaps=(Gap(what="log gs://b/NA12878.log", why="no (NA12878)"),),
        )
    )
    text = msgspec.json.encode(found).decode().replace("job-NA12878", "")
    assert "NA12878" not in text.replace("NA128789", "")
    assert "NA128789" in text
    assert "NA99999" not in text
    assert "NA55555" not in text
    hashed = redaction.record(Record(id="x", row={"sample": "NA12878"})).row["sample"]
    assert found.detail["inputs"]["bam"] == f"gs://b/{hashed}_R1.bam"
    assert list(found.logs) == [f"gs://b/{hashed}.log"]
    assert found.row["name"] == f"align {hashed}"
    assert (found.id, found.detail["id"], found.detail["status"]) == (
        "job-NA12878", "job-NA12878", "Failed",
    )  # fmt: skip
    assert redaction.row({"labels": {"sample": "NA12878"}, "name": "NA12878"})["name"] == hashed


@pytest.mark.parametrize(
    "value",
    ["detail", "attempts", "logs", "operations", "gaps", "labels", "failures", "failure", "name",
     "tasks", "contents", "details", "extensions", "inputs"],
)  # fmt: skip
def test_a_value_that_is_a_word_of_the_api_is_hidden_and_the_apis_word_is_not(value: str) -> None:
    """A team may be called operations."""

    def record(said: str) -> Record:
        body = {"attempts": [{"inputs": {said: said}, "failureMessages": [said]}]}
        labels = {"team": said, said: "x"}
        task = {"name": said, "inputs": {said: 1}, "attemptsData": body["attempts"]}
        own = {"tasks": [task], "logs": {said: "gs://b/x"}, "theirs": {said: {said: 1}}}
        return Record(
            id="a",
            row={"id": "a", "name": f"of {said}", "labels": labels, "extensions": {"userId": "b"}},
            detail={"labels": labels, "failures": [{"failure": said}], "extensions": own},
            attempts={said: body},
            shard_attempts={said: {"0": body}},
            logs={f"gs://b/{said}": {"contents": f"a {said}", "truncated": False}},
            operations={said: {"details": said}},
        )

    found = Redaction(Redact(hash=("team",)), salt=b"x").record(record(value))
    hashed = found.row["labels"]["team"]
    assert HASH.fullmatch(hashed)
    assert msgspec.structs.replace(found, taken_out=0) == record(hashed)


GAP_WORDS = ("kind", "limit", "is_misfit", "is_unread", "is_silence", "is_refusal", "is_unasked",
             "is_cut_short", "may_come")  # fmt: skip


@pytest.mark.parametrize(
    "value",
    ["job", "attempts", "log", "logs", "operation", "time", "connection", "answer", "not found",
     "status 410", "limit", "log_tails", "only", "of NA1", "connection to NA1", "log gs"],
)  # fmt: skip
def test_what_a_gap_means_stays_whatever_a_value_is(value: str) -> None:
    """Whether a job is asked for again hangs on these words; what they speak of is hidden."""
    limit = "only 1 was asked for, 2 more were not; [collect] log_tails is the limit"
    about = (gaps.JOB, gaps.ATTEMPTS, gaps.LOGS, gaps.OPERATIONS, gaps.attempts_of(f"a {value}"),
             gaps.log_of(f"gs://b/{value}"), gaps.operation_of(f"b/{value}"))  # fmt: skip
    said = (gaps.TIME_UP, f"{gaps.CONNECTION} to NA1 lost", gaps.NOT_FOUND, "unexpected status 410",
            gaps.does_not_fit(value), gaps.not_offered(value), limit)  # fmt: skip
    given = tuple(Gap(what=what, why=f"{why}: {value}", job="a") for what in about for why in said)
    row = {"labels": {"team": value}}
    found = Redaction(Redact(hash=("team",)), salt=b"x").record(
        Record(id="a", row=row, gaps=given, notes=given)
    )
    assert found.notes == found.gaps
    for one, before in zip(found.gaps, given, strict=True):
        assert [getattr(one, word) for word in GAP_WORDS] == [
            getattr(before, word) for word in GAP_WORDS
        ]
        assert one.why.endswith(f": {found.row['labels']['team']}")
        assert value not in one.of.replace("gs://", "")


@pytest.mark.parametrize("value", ["of NA1", "NA1", "connection to NA1"])
def test_a_value_that_begins_in_the_words_of_a_gap_is_hidden_behind_them(value: str) -> None:
    what, why = gaps.attempts_of("NA1"), f"{gaps.CONNECTION} to NA1 lost"
    given = (Gap(what=what if value in what else gaps.LOGS, why=why if value in why else "no"),)
    found = Redaction(Redact(hash=("team",)), salt=b"x").record(
        Record(id="a", row={"team": value}, gaps=given)
    )
    assert "NA1" not in f"{found.gaps}"
    assert found.gaps[0].kind == given[0].kind


def test_what_says_too_little_is_hashed_under_its_own_name_only() -> None:
    """A sample called 1, ok or Failed would be found in texts that do not speak of it."""
    redaction = Redaction(Redact(hash=("sample",)), salt=b"x")
    for value in ("1", "ok", "Failed", "true", 12, "20261"):
        detail = {"inputs": {"sample": value}, "name": f"a {value} b", "status": "Failed"}
        found = redaction.record(Record(id="x", detail=detail)).detail
        assert HASH.fullmatch(found["inputs"]["sample"])
        assert found["name"] == f"a {value} b"
        assert found["status"] == "Failed"


def test_the_servers_own_counts_name_no_value_that_is_hashed_or_secret() -> None:
    """Groups of an aggregation are values of labels."""
    redaction = Redaction(Redact(hash=("sample",)), salt=b"x")
    group = {"name": "Sample", "key": "sample", "entries": [{"label": "NA1", "statusCounts": {}}]}
    token = {"name": "Token", "key": "token", "entries": [{"label": CANARY}, {"label": 7}]}
    owner = {"name": "Owner", "key": "owner", "entries": [{"label": "ana"}]}
    found, _ = redaction.tree({"DAYS_7": {"aggregations": [group, token, owner]}})
    sample, secret, kept = found["DAYS_7"]["aggregations"]
    assert sample["entries"][0]["label"] == redaction.row({"sample": "NA1"})["sample"]
    assert secret["entries"] == [{"label": "[taken out]"}, {"label": 7}]
    assert kept == owner


def test_a_filter_for_a_hashed_label_is_kept_as_its_hash() -> None:
    """It was applied before; what is kept of it can be compared with what is kept of jobs."""
    redaction = Redaction(Redact(hash=("sample", "name")), salt=b"x")
    filters = Filters(labels={"sample": "NA1", "owner": "ana"}, name="germline")
    found = redaction.asked(Asked(server="s", timeframe="DAYS_7", filters=filters)).filters
    row = redaction.row({"name": "germline", "labels": {"sample": "NA1"}})
    assert found.labels == {"sample": row["labels"]["sample"], "owner": "ana"}
    assert found.name == row["name"]


def test_hashed_values_are_equal_within_a_store_and_differ_between_stores(tmp_path: Path) -> None:
    """The salt is the store's own; no one else may read it."""

    def samples(root: Path) -> list[str]:
        with opened(root) as store:
            redaction = Redaction.of(Redact(hash=("sample",)))
            with store.begin(NOW, redaction) as writer:
                writer.add(record(1))
                writer.add(record(2, detail={"labels": {"Sample": "NA1"}, "wf.sample": ["NA1"]}))
                writer.finish(run_of(writer))
            first, second = store.record("job-1").detail, store.record("job-2").detail
        return [first["inputs"]["sample"], second["labels"]["Sample"], second["wf.sample"][0]]

    one, other = samples(tmp_path / "one"), samples(tmp_path / "other")
    assert len(set(one)) == len(set(other)) == 1
    assert one[0].startswith("hash:")
    assert one[0] != other[0]
    assert (tmp_path / "one" / "salt").stat().st_mode & 0o077 == 0
    assert samples(tmp_path / "one") == one


def test_no_secret_reaches_any_file_of_a_store(tmp_path: Path) -> None:
    """Whatever a run hands over: rows, details, what the server said of itself, reasons, gaps."""
    with opened(tmp_path) as store, store.begin(NOW, Redaction()) as writer:
        writer.list_row({**row(1), "labels": {"token": CANARY}})
        writer.add(record(1, logs={"gs://b/x": {"contents": f"Authorization: Bearer {CANARY}"}}))
        writer.aggregations({"DAYS_7": {"secret": CANARY}})
        told = msgspec.structs.replace(
            run_of(writer),
            capabilities={"apiKey": CANARY},
            health=f"token={CANARY}",
            reason=f"https://x:{CANARY}@host",
            gaps=(Gap(what="job", why=f"Bearer {CANARY}"),),
            notes=(f"password={CANARY}",),
        )
        kept = writer.finish(told)
    assert kept.counts.taken_out == 2
    for path in tmp_path.rglob("*"):
        if path.is_file():
            body = path.read_bytes()
            if path.suffix == ".zst":
                from jmreport.snapshots import files

                body = b"".join(files.lines(path))
            assert CANARY.encode() not in body, path
            assert b"canary-hunter2" not in body, path


def test_no_tree_is_too_deep_or_too_broken() -> None:
    """Nesting without end, half surrogate pairs, NUL and numbers without end can be written."""
    deep: Any = "bottom"
    for _ in range(100_000):
        deep = [deep]
    tree = {
        "deep": deep,
        "half \ud800": "\udfff token=x",
        "nul": "\x00",
        "big": 10**400,
        "inf": 1e999,
    }
    found, _ = Redaction().tree(tree)
    text = msgspec.json.encode(found)
    assert b"nested more than 200 deep" in text
    assert msgspec.json.decode(text)["big"] == 10**400
    assert msgspec.json.decode(text)["half ?"] == "? token=[taken out]"
    while deep != "bottom":  # taken apart by hand: freeing it at once would overflow the stack
        deep = deep[0]


_words = st.sampled_from(
    ["token", "x", "password=", "Bearer ", "eyJ", "://", "@", CANARY, ":", '"']
)
_text = st.lists(_words | st.text(max_size=4), max_size=6).map("".join)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=15,
)


def shape(tree: Any) -> Any:
    """A tree without its texts, the names of its keys, and the numbers that are passwords."""
    if isinstance(tree, dict):
        return sorted(
            repr("text" if "password" in key and type(value) is int else shape(value))
            for key, value in tree.items()
        )
    if isinstance(tree, list):
        return [shape(item) for item in tree]
    return "text" if isinstance(tree, str) else tree


@settings(max_examples=dose(200), deadline=None)
@given(tree=_json)
@example(tree={"token": {"Bearer password=": 0}})
@example(tree={"password=DIR": 0})
@example(tree={"token": {"password=DIR": 0}})
@example(tree={"password=DIR": {"password=DIR": ["x", 0]}})
@example(tree={"secrets": {"password": 1234, "port": 5432}})
@example(tree="password: is no")
@example(tree=["API_TOKEN: must token: not TOKEN=is"])
def test_whatever_is_taken_out_the_structure_stays(tree: Any) -> None:
    """Law: same shape, same numbers; a second time changes nothing; what is left can be written."""
    found, count = Redaction().tree(tree)
    assert shape(found) == shape(tree)
    assert count >= 0
    again, more = Redaction().tree(found)
    assert again == found
    assert more == 0
    msgspec.json.encode(found)


@pytest.mark.parametrize(
    "text",
    ["://" * 50_000, "a" * 200_000 + "token", "password=" * 20_000, "eyJ" * 60_000, "@:" * 90_000,
     "-----BEGIN PRIVATE KEY-----" * 5_000, "bearer " * 30_000, "cookie: " * 20_000,
     "sig=" * 50_000, "token \\" * 30_000, "AKIA" * 50_000, "basic " * 40_000, "-" * 200_000,
     "password=\"" * 20_000, "password='" * 20_000, 'password=\\"' * 20_000, "A" * 200_000,
     'name: token, ' * 15_000, "name: token" + " " * 200_000, "name: token," + "value " * 30_000,
     "mysql " * 30_000, "login x " * 25_000, "redis-cli " * 20_000],
)  # fmt: skip
def test_no_text_makes_it_slow(text: str) -> None:
    """A log made to match nearly everywhere is done in time that grows with its length."""
    began = time.process_time()
    Redaction().text(text + "@ bearer token sig= private key-----")
    assert time.process_time() - began < 5


def test_hashes_in_what_is_said_cannot_be_tried_out() -> None:
    """Logs go further than the salt of the snapshots."""
    hashing = Settings(redact=Redact(hash=("sample",)))
    said = "cannot read sample=NA12878"
    once, again, empty = hider(hashing)(said), hider(hashing)(said), hider(Settings())(said)
    assert once.startswith("cannot read sample=hash:")
    assert len({once, again, Redaction(hashing.redact).text(said)[0], empty}) == 4


def test_its_files_are_private_to_nobody_but_the_salt() -> None:
    """Snapshots are for reading, as the umask says."""
    with tempfile.TemporaryDirectory() as folder:
        with opened(Path(folder)) as store:
            assert store.runs() == ()
        before = os.umask(0)
        os.umask(before)
        assert (Path(folder) / "format.json").stat().st_mode & 0o777 == 0o644 & ~before


_LOOKED_FOR = ("token", "key", "to", "basic ", "sk-", "x=", "line\nend", "schlüssel", "")


@given(
    st.lists(st.sampled_from(_LOOKED_FOR), max_size=6),
    st.lists(
        st.sampled_from((*_LOOKED_FOR, "tok", "en", " ", "-", "\n", "s", "k", "/", '"', "7", "ü"))
        | st.text(max_size=3),
        max_size=12,
    ),
)
@example(["to", "token"], ["to", "ken"])
@example(["sk-"], ["s", "k", "-"])
@example(["basic "], ["basic", " "])
@example(["basic "], ["basic", '"', " "])
@example(["line\nend", "key"], ["line\nend"])
def test_what_is_looked_for_all_at_once_is_found_as_if_one_by_one(
    texts: list[str], pieces: list[str]
) -> None:
    """Words that come again, or stand beside one another, hide nothing and make nothing up."""
    body = "".join(pieces).encode("utf-8", "replace")
    assert Fragments(texts).of(body) == {text for text in texts if text.encode() in body}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("all tests passed, a passed one", set()),
        ("passed and passwords", {"pass"}),
        ("compass", {"pass"}),
        ("requestingexecutiontoken passed", set()),
        ("requestingexecutiontoken: token", {"token"}),
        ("requestingexecutiontokentoken", {"token"}),
    ],
)
def test_what_stands_in_a_harmless_word_is_looked_for_beside_it(body: str, found: set[str]) -> None:
    """Nearly every job says that a test passed, and needs no closer look for that."""
    looking = Fragments(["pass", "token", "key"], idle=("requestingexecutiontoken", "passed"))
    assert looking.of(body.encode()) == found
