"""What secrets look like: words in the names of keys, and shapes inside any text.

Each shape names a few lower-case fragments, one of which is in every text it can match, so that a
text without them costs a substring search and no regular expression.
"""

import base64
import re
from collections.abc import Callable
from re import Match, Pattern

from msgspec import Struct

#: What stands where a secret was.
TAKEN_OUT = "[taken out]"


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Words that make a key's value a secret, singular.
_SECRET_WORDS = _set(
    "accesskey accesstoken apikey apitoken authkey authorization authtoken bearer clientsecret "
    "cookie cred credential idtoken jwt passcode passphrase passwd password privatekey "
    "refreshtoken secret secretkey sessionid sessionkey sessiontoken token"
)
_SECRET_PAIRS = frozenset(
    {
        (first, "key")
        for first in _set(
            "access account api auth encryption licence license master private session shared "
            "signing ssh storage subscription"
        )
    }
    | {("session", "id"), ("connection", "string"), ("api", "token")}
    | {("goog", "signature"), ("amz", "signature")}
)
#: DB_PASS, smtpPass: "pass" alone is what a test does.
_BEFORE_PASS = _set(
    "admin db database docker ftp ldap mail mongo mysql oracle pg postgres proxy redis registry "
    "root smtp sql ssh user"
)
#: nextPageToken, max_tokens, RequestingExecutionToken …: tokens that open nothing.
_HARMLESS_BEFORE_TOKEN = _set(
    "page next continuation execution sync max min num total pad eos bos unk sep cls mask"
)
#: Words under which a number is no count: DB_PASSWORD = 12345678.
_PASSWORDS = _set("password passwd passcode passphrase pwd")
#: Ends of words that are written as one: githubtoken, dbpassword.
_SECRET_ENDS = ("password", "passwd", "token", "secret", "apikey")
#: token_count, password_file, secretName …: they speak about a secret.
_HARMLESS_LAST = _set(
    "count counts limit limits length size type index budget expiry expires ttl path file dir "
    "enabled required policy name version"
)
#: How it goes on where something is said about a name: "DB_PASSWORD: expected a text". Whole words
#: and few, so that nothing else of a value can stay; a password that is one of them guards nothing.
_SAID_OF_NAMES = _set("cannot expected invalid is missing must no not required should undefined")
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")

#: In the lower-case text of every name that `is_secret_name` may say yes to.
NAME_FRAGMENTS: tuple[str, ...] = (
    "pass",
    "secret",
    "token",
    "key",
    "cred",
    "auth",
    "cookie",
    "jwt",
    "bearer",
    "pwd",
    "session",
    "connection",
    "signature",
)


def words(name: str) -> tuple[str, ...]:
    """The words of a key's name, lower-case.

    >>> words("germline.dbPassword_2")
    ('germline', 'db', 'password', '2')
    """
    return tuple(word.lower() for word in _WORD.findall(name))


def is_secret_name(name: str) -> bool:
    """Whether a key of this name holds a secret, by whole words.

    >>> [is_secret_name(n) for n in ("api_key", "dbPassword", "tokenizer", "nextPageToken")]
    [True, True, False, False]
    """
    parts = words(name)
    if not parts or parts[-1] in _HARMLESS_LAST:
        return False
    if any(pair in _SECRET_PAIRS for pair in zip(parts, map(_singular, parts[1:]), strict=False)):
        return True
    return any(_is_secret_word(parts, at) for at in range(len(parts)))


def _is_secret_word(parts: tuple[str, ...], at: int) -> bool:
    word = _singular(parts[at])
    if word == "token":
        return at == 0 or parts[at - 1] not in _HARMLESS_BEFORE_TOKEN
    if word in ("auth", "pwd"):
        # "auth" in a Docker configuration; PWD alone is the working directory.
        return at == len(parts) - 1 and (word == "auth" or len(parts) > 1)
    if parts[at] == "pass":
        return at > 0 and parts[at - 1] in _BEFORE_PASS
    if word.endswith("token") and word[:-5].endswith(tuple(_HARMLESS_BEFORE_TOKEN)):
        return False
    return word in _SECRET_WORDS or word.endswith(_SECRET_ENDS)


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") else word


def is_harmless_value(name: str, text: str) -> bool:
    """Whether a text is no secret even under a secret's name: nothing, or a number of tokens."""
    if not text or text == TAKEN_OUT or text.lower() in ("true", "false", "null", "none"):
        return True
    return text.isdigit() and _singular((words(name) or ("",))[-1]) == "token"


def is_secret_number(name: str) -> bool:
    """Whether a number under a secret's name is a secret too: a password, not so many tokens."""
    return not _PASSWORDS.isdisjoint(words(name))


class Shape(Struct, frozen=True):
    """A shape of secrets: what it looks like, and what stays of a match."""

    fragments: tuple[str, ...]
    pattern: Pattern[str]
    replacement: str | Callable[[Match[str]], str]


_FLAGS = re.IGNORECASE | re.ASCII


def _is_user_and_password(text: str) -> bool:
    """Whether a word is what a Basic header holds: "basic alignment" is prose."""
    bare = text.rstrip("=")
    try:
        pair = base64.b64decode(bare + "=" * (-len(bare) % 4)).decode()
    except ValueError:
        return False
    return ":" in pair and pair.isprintable()


#: A word of a header's value.
_CREDENTIAL = r"[^\s\"',;\\\[\](){}<>]"
_SCHEMES = "bearer|basic|token|digest|negotiate"
#: The lines of a key's body that stand before its end: their ends as they are, or as JSON has them.
_KEY_LINE_ENDS = r"(?:\s|\\[nr])++"
_KEY_LINES = (
    rf"(?:\A[A-Za-z0-9+/=]{{1,64}}+{_KEY_LINE_ENDS}|(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{{20,}}+"
    rf"{_KEY_LINE_ENDS})(?:[A-Za-z0-9+/=]{{20,}}+{_KEY_LINE_ENDS})*+"
    rf"(?:[A-Za-z0-9+/=]++{_KEY_LINE_ENDS})?+"
)

#: The rest of a value in a URL or a line, percent-encoded ends included.
_VALUE = r"(?:(?!%26)[^&\s\"'<>#,;\[\]\\])+"

SHAPES = (
    Shape(
        ("private key-----", "private key block-----"),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----END ).)*+"
            r"(?:-----END [A-Z0-9 ]{0,40}-----)?",
            re.DOTALL,
        ),
        TAKEN_OUT,
    ),
    # A log's end may begin inside a key. What looks like its lines is matched whether an end
    # follows or not, so that no line is looked at twice.
    Shape(
        ("private key-----", "private key block-----"),
        re.compile(
            rf"{_KEY_LINES}(-----END [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----)?",
        ),
        lambda match: TAKEN_OUT if match[1] else match[0],
    ),
    Shape(
        ("signature", "sig=", "sig%3d", "credential", "security-token"),
        re.compile(
            r"(?<![a-z0-9])((?:x-(?:goog|amz)-)?(?:signature|credential|security-token|sig)"
            rf"(?:=|%3D)){_VALUE}",
            _FLAGS,
        ),
        rf"\1{TAKEN_OUT}",
    ),
    Shape(
        ("authorization", "authentication"),
        re.compile(
            r"(\b(?:authorization|authentication)\\?[\"']?\s{0,2}[:=]\s{0,2}\\?[\"']?)(?:"
            rf"((?:{_SCHEMES})\s{{1,3}}){_CREDENTIAL}{{6,}}+|(?!(?:{_SCHEMES})\s)(?:"
            # A scheme of the server's own: it goes with what follows, if that is no prose.
            rf"{_CREDENTIAL}++\s{{1,3}}(?={_CREDENTIAL}*+(?:[\"'\\]|\s*+$)|[^\s\d]*+\d|\S{{16}})"
            rf"{_CREDENTIAL}{{6,}}+|{_CREDENTIAL}{{6,}}+))",
            _FLAGS | re.MULTILINE,
        ),
        lambda match: f"{match[1]}{match[2] or ''}{TAKEN_OUT}",
    ),
    Shape(
        ("bearer",),
        re.compile(
            r"(\bbearer\s{1,3})(?!(?:authentication|authorization|credentials?|tokens?|realm|"
            r"scheme|header)\b)[A-Za-z0-9._~+/=-]{6,}",
            _FLAGS,
        ),
        rf"\1{TAKEN_OUT}",
    ),
    Shape(
        ("basic ",),
        re.compile(r"(\bbasic\s{1,3})([A-Za-z0-9+/]{8,}+={0,2})", _FLAGS),
        lambda match: match[1] + TAKEN_OUT if _is_user_and_password(match[2]) else match[0],
    ),
    Shape(
        ("eyj",),
        re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?", re.ASCII),
        TAKEN_OUT,
    ),
    Shape(
        ("ya29.", "1//0"),
        re.compile(r"(?<!\w)(?:ya29\.[\w.-]{10,}|1//0[\w-]{20,})", re.ASCII),
        TAKEN_OUT,
    ),
    Shape(("aiza",), re.compile(r"(?<!\w)AIza[\w-]{30,}", re.ASCII), TAKEN_OUT),
    Shape(
        ("akia", "asia"),
        re.compile(
            r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
            r"(?:[^A-Za-z0-9/+=]{1,5}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+]))?"
        ),
        TAKEN_OUT,
    ),
    Shape(
        (
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "glpat-",
            "xox",
            "hf_",
            "sk_",
            "rk_",
            "sk-",
            "npm_",
            "dckr_pat_",
            "pypi-",
            "xapp-",
            "dop_v1_",
            "age-secret-key-",
            "sg.",
        ),
        re.compile(
            r"(?<![A-Za-z0-9])(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|"
            r"xox[abeoprs]-[\w-]{10,}|xapp-[\w-]{10,}|hf_[A-Za-z0-9]{30,}|"
            r"[sr]k_(?:live|test)_\w{10,}|sk-(?:ant|proj)-[\w-]{20,}|npm_[A-Za-z0-9]{30,}|"
            r"dckr_pat_[\w-]{20,}|pypi-[\w-]{50,}|dop_v1_[0-9a-f]{32,}|"
            r"AGE-SECRET-KEY-1[0-9A-Z]{20,}|SG\.[\w-]{16,}\.[\w-]{16,})",
            re.ASCII,
        ),
        TAKEN_OUT,
    ),
    Shape(
        ("hooks.slack.com",),
        re.compile(r"(hooks\.slack\.com/services/)[\w/-]{10,}", _FLAGS),
        rf"\1{TAKEN_OUT}",
    ),
    Shape(
        ("@",),
        re.compile(
            r"(?<=://)[^\s/@:\"'<>\[\]]*:[^\s/\"'<>\[\]]+@|"
            r"(?:(?<=http://)|(?<=https://))[^\s/@:\"'<>\[\]]+@",
            _FLAGS,
        ),
        f"{TAKEN_OUT}@",
    ),
    Shape(
        ("curl", "sshpass", "docker", "mysql", "redis-cli", "login"),
        re.compile(
            r"(\bcurl\b[^\n]{0,400}?\s(?:-u\s{0,2}|--(?:proxy-)?user[\s=])[\"']?[^\s:\"'/]{1,99}+:|"
            r"\bsshpass\s{1,3}-p\s{0,2}|\bdocker\s{1,3}login\b[^\n]{0,400}?\s-p[\s=]|"
            r"\bmysql(?:admin|dump|import)?\b[^\n;|&]{0,400}?\s-p(?=\S)|"
            r"\bredis-cli\b[^\n;|&]{0,400}?\s-a\s{0,2}|"
            # A .netrc.
            r"\blogin\s{1,3}[^\s:=,]{1,99}+\s{1,40}password\s{1,3})"
            r"(?!\[taken out\])[^\s\"']+",
            _FLAGS,
        ),
        rf"\1{TAKEN_OUT}",
    ),
    Shape(
        ("cookie",),
        re.compile(r"(?<![\w-])((?:set-)?cookie:\s{0,3}+)[^\r\n\"'\[]+", _FLAGS),
        rf"\1{TAKEN_OUT}",
    ),
)

_TOLD = (
    r"(?P<value>\\+\"[^\"\\]*\\+\"|\"(?:[^\"\\\n]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'|{value}|"
    # A quote that nothing closes: the text was cut there.
    r"\\*+[\"'][^\n]++)"
)
_NAME = r"(?P<name>(?=[\w.-]*?(?:{fragments}))[\w.-]++)"
_ASSIGNMENT = (
    rf"(?<![\w.-])(?P<flag>--?)?{_NAME}"
    r"(?P<between>\\*[\"']?\s{{0,2}}(?>:=|[=-]>|==?|:|%3D)\s{{0,2}}|>(?=[^<>\s]++</)|"
    rf"\s{{{{1,3}}}}(?=[^-\s])){_TOLD}"
)
#: How environments are listed, in JSON, YAML and the like: a name, and its value right after it.
_PAIR = (
    rf"(?<![\w.-])(?:name|key)\\*[\"']?\s{{{{0,3}}}}[:=]\s{{{{0,3}}}}\\*[\"']?{_NAME}\\*[\"']?"
    r"(?:\s|,|\\[nrt]){{1,200}}+\\*[\"']?val(?:ue)?\\*[\"']?\s{{0,3}}[:=]\s{{0,3}}"
    rf"{_TOLD}"
)
#: A value without quotes: all but what ends it; brackets belong to it unless they are ours.
_ASSIGNED = r"(?:(?!%26)(?:[^&\s\"'<>,;\[\\]|\[(?!taken out\])))+"


def assignments(instead: Callable[[str, str], str | None], fragments: tuple[str, ...]) -> Shape:
    """Names with values inside a text: `DB_PASSWORD=x`, `--token x`, `"apiKey": "x"`.

    `instead` says what stands for a name's value; None where it may stay.
    """
    return _named(_ASSIGNMENT, instead, fragments, _binds)


def pairs(instead: Callable[[str, str], str | None], fragments: tuple[str, ...]) -> Shape:
    """Names listed with their values inside a text: `{"name": "DB_PASSWORD", "value": "x"}`.

    `instead` says what stands for a name's value; None where it may stay.
    """
    return _named(_PAIR, instead, fragments, lambda _: True)


def _named(
    form: str,
    instead: Callable[[str, str], str | None],
    fragments: tuple[str, ...],
    binds: Callable[[Match[str]], bool],
) -> Shape:
    def without(match: Match[str]) -> str:
        name, value = match["name"], match["value"]
        bare = value.strip("\\\"'")
        if not bare or bare == TAKEN_OUT or not binds(match):
            return match[0]
        stands = instead(name, bare)
        if stands is None:
            return match[0]
        return match[0][: -len(value)] + value.replace(bare, stands, 1)

    source = form.format(fragments="|".join(map(re.escape, fragments)), value=_ASSIGNED)
    return Shape(fragments, re.compile(source, _FLAGS), without)


def _binds(match: Match[str]) -> bool:
    """Whether what follows a name is its value: "unexpected token: foo" is prose, and so is
    "DB_PASSWORD: not set".
    """
    between = match["between"]
    if "=" in between or ">" in between or "%" in between:
        return True
    if not between.strip():
        return match["flag"] == "--"
    if between[-1].isspace() and match["value"] in _SAID_OF_NAMES:
        return False
    quoted = between[0] in "\\\"'"
    parts = words(match["name"])
    plain = parts[-1] in ("password", "passwd", "passphrase", "apikey")
    return quoted or len(parts) > 1 or plain or _is_no_word(match["value"])


def _is_no_word(value: str) -> bool:
    """Whether a text was made by a machine: long, of letters and digits, and no path."""
    mixed = any(sign.isdigit() for sign in value) and any(sign.isalpha() for sign in value)
    return len(value) >= 16 and mixed and "/" not in value
