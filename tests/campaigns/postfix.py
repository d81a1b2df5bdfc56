"""Mails through a real chain: postfix takes them over TLS with a login, and IMAP gives them back.

    python -m tests.campaigns.postfix [--keep DIR]

Needs root, for postfix's processes change to other users; installs Debian's postfix and
dovecot-imapd where they are missing, and starts none of their services: both run from a folder of
this program's own, on 127.0.0.1 alone, and deliver nowhere else (`default_transport = error:`).
"""

import argparse
import imaplib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))

from mail_cases import certified, free_port, html, parsed, text, usual  # noqa: E402 - tests' own

HOST = "127.0.0.1"
DOMAIN = "mail.test"
PEOPLE = ("ana", "bo")
PASSWORD = "-".join(("canary", "hunter2"))
#: Headers that a chain adds; all others must come back as they were sent.
ADDED = {"Return-Path", "X-Original-To", "Delivered-To", "Received"}

MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {root}/log/postfix.log
maillog_file_prefixes = {root}/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.{domain}
mydestination =
mynetworks = 127.0.0.1/32
default_transport = error: nothing leaves this machine
relay_transport = error: nothing leaves this machine
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {root}/boxes
virtual_mailbox_maps = texthash:{root}/people
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
alias_maps =
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_helo_required = yes
smtpd_reject_unlisted_recipient = yes
"""
MASTER = """\
{host}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
DOVECOT = """\
base_dir = {root}/dovecot
state_dir = {root}/dovecot-state
log_path = {root}/log/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
mail_location = maildir:{root}/boxes/%n
first_valid_uid = 1
default_internal_user = dovecot
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {root}/passwords
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={root}/boxes/%n
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imap}
  }}
}}
service auth {{
  unix_listener {root}/queue/private/auth {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
"""


def installed() -> bool:
    """Whether both are there; installs them where that can be done."""
    if shutil.which("postfix") and shutil.which("dovecot"):
        return True
    if os.geteuid() or not shutil.which("apt-get"):
        return False
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:  # so that the services of the system are not started
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        subprocess.run(
            ["debconf-set-selections"],  # noqa: S607
            input="postfix postfix/main_mailer_type select No configuration\n",
            text=True,
            check=True,
        )
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=True)  # noqa: S607
        subprocess.run([*install, "postfix", "dovecot-imapd"], env=quiet, check=True)  # noqa: S603
    finally:
        if ours:
            policy.unlink()
    return bool(shutil.which("postfix") and shutil.which("dovecot"))


@contextmanager
def chain(root: Path, certificate: Path, key: Path) -> Iterator[tuple[int, int]]:
    """Both running: the ports of submission and of IMAP."""
    port, imap = free_port(), free_port()
    user = pwd.getpwnam("nobody")
    about = {
        "root": root, "domain": DOMAIN, "host": HOST, "port": port, "imap": imap,
        "uid": user.pw_uid, "gid": user.pw_gid, "certificate": certificate, "key": key,
    }  # fmt: skip
    for folder in ("config", "queue", "data", "log", "boxes", "queue/private"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.chown(root / "data", "postfix", "postfix")
    shutil.chown(root / "boxes", user.pw_uid, user.pw_gid)
    # Others than root deliver and log in.
    for above in (root, root.parent):
        above.chmod(0o755)
    (root / "config/main.cf").write_text(MAIN.format(**about))
    (root / "config/master.cf").write_text(MASTER.format(**about))
    (root / "people").write_text("".join(f"{who}@{DOMAIN} {who}/\n" for who in PEOPLE))
    (root / "passwords").write_text("".join(f"{who}:{PASSWORD}\n" for who in PEOPLE))
    (root / "dovecot.conf").write_text(DOVECOT.format(**about))
    postfix, dovecot = (
        ["postfix", "-c", str(root / "config")],
        ["dovecot", "-c", str(root / "dovecot.conf")],
    )
    run([*postfix, "set-permissions"], fails=True)
    run([*postfix, "start"])
    try:
        run(dovecot)
        try:
            yield port, imap
        finally:
            run(["doveadm", "-c", str(root / "dovecot.conf"), "stop"])
    finally:
        run([*postfix, "stop"], fails=True)


def run(command: list[str], *, fails: bool = False) -> None:
    # A daemon would keep a pipe open, and whoever reads from it waiting.
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(command, stdout=said, stderr=said, check=False)  # noqa: S603
        said.seek(0)
        if done.returncode and not fails:
            raise SystemExit(f"{' '.join(command)}: {said.read()}")


def within(seconds: float, found: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not (there := found()) and time.monotonic() < until:
        time.sleep(0.2)
    return there


def box(port: int, who: str, certificate: Path) -> list[EmailMessage]:
    """The mails of somebody, over IMAP."""
    import ssl

    context = ssl.create_default_context(cafile=str(certificate))
    with imaplib.IMAP4_SSL(HOST, port, ssl_context=context) as session:
        session.login(who, PASSWORD)
        session.select("INBOX", readonly=True)
        numbers = session.search(None, "ALL")[1][0].split()
        return [parsed(session.fetch(number, "(RFC822)")[1][0][1]) for number in numbers]  # type: ignore[index,arg-type]  # imaplib's nested answer


def mail(
    folder: Path, port: int, certificate: Path, *more: str
) -> subprocess.CompletedProcess[str]:
    """`jmreport mail` as cron would start it."""
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "jmreport.toml").write_text(
        f'[site]\ndir = "site"\nurl = "https://reports.example.org/jobs"\n'
        '[snapshots]\ndir = "snapshots"\n[report]\nidentity_labels = ["sample"]\n'
        f'[mail]\nsmtp = "{HOST}:{port}"\nuser = "ana"\npassword_file = "password"\n'
        f'sender = "Batch reports <ana@{DOMAIN}>"\npatience = 10\n'
        f'[[teams]]\nname = "Ärzte · germline"\nto = ["ana@{DOMAIN}", "Bo Li <bo@{DOMAIN}>"]\n'
        'labels = { owner = "ana" }\nattach = ["csv", "json"]\n'
        f'[[teams]]\nname = "nobody"\nto = ["nobody@{DOMAIN}", "bo@{DOMAIN}"]\n'
        '[[teams]]\nname = "elsewhere"\nto = ["x@example.org"]\n'
    )
    return subprocess.run(  # noqa: S603 - this program
        [
            sys.executable,
            "-m",
            "jmreport",
            "mail",
            "--config",
            str(folder / "jmreport.toml"),
            *more,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SSL_CERT_FILE": str(certificate)},
    )


def wrong(sent: EmailMessage, come: EmailMessage) -> Iterator[str]:
    """How a mail came back otherwise than it was sent."""
    for name in dict.fromkeys((*sent.keys(), *come.keys())):
        if name not in ADDED and sent.get_all(name) != come.get_all(name):
            yield f"{name}: {sent.get_all(name)} came back as {come.get_all(name)}"
    if text(sent) != text(come) or html(sent) != html(come):
        yield "its words changed on the way"
    before, after = (
        [part.get_payload(decode=True) for part in each.walk()] for each in (sent, come)
    )
    if before != after:
        yield "its parts changed on the way"
    if come.defects:
        yield f"defects: {come.defects}"


def campaign(root: Path) -> list[str]:
    """What went wrong."""
    faults: list[str] = []

    def hold(fact: bool, words: str) -> None:
        print(("ok    " if fact else "WRONG ") + words)
        if not fact:
            faults.append(words)

    work = root / "work"
    work.mkdir()
    usual(work / "snapshots")
    with certified(root) as (certificate, key), chain(root / "chain", certificate, key) as ports:
        port, imap = ports
        first = mail(work, port, certificate)
        print(first.stdout + first.stderr)
        hold(first.returncode == 5, f"exit code {first.returncode}, since two were refused")
        hold(f"nobody@{DOMAIN} was refused: 550" in first.stdout, "who is not there is named")
        hold("x@example.org was refused: 5" in first.stdout, "who is elsewhere is named")
        wanted = {"ana": 1, "bo": 2}
        hold(
            within(
                30, lambda: all(len(box(imap, who, certificate)) == n for who, n in wanted.items())
            ),
            f"IMAP gives {wanted} mails",
        )
        kept = {
            str(each["Message-ID"]): each
            for each in (
                parsed(path.read_bytes()) for path in (work / "snapshots-mail").glob("*.eml")
            )
        }
        for who in PEOPLE:
            for come in box(imap, who, certificate):
                found = list(wrong(kept[str(come["Message-ID"])], come))
                hold(not found, f"{who}: {come['Subject']!r} came as it was sent {found or ''}")
                hold(
                    any("ESMTPSA" in str(each) for each in come.get_all("Received", [])),
                    f"{who}: over TLS, with a login",
                )
        second = mail(work, port, certificate)
        time.sleep(2)
        hold(
            {who: len(box(imap, who, certificate)) for who in PEOPLE} == wanted,
            "a second run sends none again",
        )
        hold("was sent already" in second.stdout, "and says so")
        bad = mail(work, port, Path("/nowhere"), "--again")
        hold(bad.returncode == 5 and "certificate" in bad.stderr, "without trust in it, no mail")
        hold(
            PASSWORD not in first.stdout + first.stderr + bad.stderr, "no password in what is said"
        )
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="where everything is left, to be looked at")
    given = parser.parse_args()
    if os.geteuid() or not installed():
        print("needs root, postfix and dovecot-imapd")
        return 2
    if given.keep:
        given.keep.mkdir(parents=True)
        faults = campaign(given.keep.resolve())
    else:
        with tempfile.TemporaryDirectory() as folder:
            faults = campaign(Path(folder))
    print(f"{len(faults)} wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
