"""YAML's spellings of values that people, editors and attackers write, as they stand in a file."""

from __future__ import annotations

import json
from random import Random

# Stands for every secret in what is made here, so that it is found again wherever it leaks to.
SECRET = "Qz7Vw9kPlXsEcReT"

NUMBERS = (
    ".inf",
    "-.inf",
    ".nan",
    "1e999",
    "-1e999",
    "1e-999",
    "1.5",
    "0.10",
    "-0",
    "+1",
    "00",
    "0x7fffffffffffffff",
    "0o777",
    "0b11",
    "1_000",
    "1:30:00",
    "9" * 18,
    "9" * 19,
    "9" * 4400,
    "-" + "9" * 5000,
    "1" * 50_000,
    "1." + "0" * 20_000,
    "1e" + "9" * 5000,
    "-1",
    "0",
    "100000000000000000000GiB",
    "1e400GB",
    "٣",
    "½",
    "1️⃣",
)
WORDS = (
    "~",
    "null",
    "Null",
    "yes",
    "NO",
    "on",
    "off",
    "true",
    "FALSE",
    "''",
    '""',
    "' '",
    "...",
    "xxx",
    "<username>",
    "=",
    "2001-12-14",
    "2001-12-14t21:59:43.10-05:00",
    "0000-00-00",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01",
    "@daily",
    "* * * * *",
    "new-data",
    "${DATA_DIR}",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "$(id)",
    "`id`",
    "; rm -rf /",
    "' OR 1=1 --",
    "../../etc/passwd",
    "/",
    "C:\\x",
    "s3",
    "swift",
    "small",
    "custom",
    "tensorflow",
    "%s%n%x",
    "{0.__class__}",
    "https://user:" + SECRET + "@s3.example.com",
    "user:" + SECRET + "@s3.example.com",
    "https://u:/" + SECRET + "@" + SECRET + "@h",
    "https://[::1",
    "http://[fe80::1%25eth0]:99999",
    "//",
    "a@b",
    "https://s3.example.com:port",
    "file:///etc/passwd",
    "https://xn--a",
    "https://" + "a." * 3000 + "com",
)
QUOTED = (
    "\0",
    "\x07",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\u2028",
    "\u202etxt.py",
    "\u200b",
    "\ufeff",
    "\ufffe",
    "\ud83d",
    "\ude00\ud83d",
    "\N{GRINNING FACE}",
    "a\nb",
    "a\r\nb: c",
    "\t",
    " lead",
    "trail ",
    "e\u0301" * 500,
    "ﷺ" * 300,
    "\U0010ffff",
    "İ",
    "ß",
    "K",
)
TAGGED = (
    '!!python/object/apply:os.system ["id"]',
    "!!python/name:os.system ''",
    "!!python/object/new:type {}",
    "!!binary aGk=",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!timestamp 2001-01-01",
    "!!float x",
    "!!int x",
    "!!null x",
    "!!str",
    "! x",
    "!local x",
    "!<tag:yaml.org,2002:str> x",
    "!<" + "x" * 5000 + "> y",
    "!" + "a" * 300_000,
    "!!" + "%41" * 5000,
    "&a [*a]",
    "&a {b: *a}",
    "*nope",
    "&a",
    "*" + SECRET,
    "&" + "a" * 5000 + " x",
    "<<",
    "? a",
    "- - - -",
    "- x",
    "|",
    ">",
    "|9",
    "|+\n",
    "@x",
    "`x",
    "%x",
    "%YAML 9.9",
    "[",
    "]",
    "{",
    "}",
    "[[[[]]]]",
    "{a: {b: {c: }}}",
    "{? [a]: b}",
    "[,]",
    "{,}",
    "'",
    '"',
    '"\\',
    '"\\xZZ"',
    '"\\ud83d"',
    '"\\U00110000"',
    "a: b",
    "a: b: c",
    "#",
    "\t",
    "--- x",
    "...",
)


def raw_scalar(rng: Random) -> str:
    """Return something to stand as a value: a number, a word, quoted text, a tag or a piece of broken syntax."""
    kind = rng.randrange(12)
    if kind < 3:
        return rng.choice(NUMBERS)
    if kind < 6:
        return rng.choice(WORDS)
    if kind < 8:
        return json.dumps(rng.choice(QUOTED))
    if kind < 11:
        return rng.choice(TAGGED)
    return long_scalar(rng)


def long_scalar(rng: Random) -> str:
    """Return a value that is far too long, quoted or not."""
    piece = rng.choice(
        ("x", "ab ", "-x ", "a@", "[", "\\", "é", "1", "/", "<", "${A}", "&&", "%20", ",", ".a", "'", "ﬀ")
    )
    text = piece * (10 ** rng.randrange(2, 6) // len(piece))
    return json.dumps(text) if rng.random() < 0.5 else text
