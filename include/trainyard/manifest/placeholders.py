"""Distinguish a value that somebody forgot to fill in from a real one."""

from __future__ import annotations

import re

# Each stood, or may stand, in a template that people copy. A whole value has to match; `REDACTED` is a value.
_FILLER = re.compile(
    r"""
    <[^<>]*>                                        # <username>, < from cloud portal >
    | \{\{.*\}\} | \$\{\{.*\}\} | \{%.*%\}          # a template engine's
    | x{3,} | \.{2,} | … | \*{3,} | \?+ | -+ | _+   # xxx, ..., **** (also what Trainyard shows instead of a secret)
    | todo | tbd | fixme | placeholder | change[-_ ]?(me|this) | fill[-_ ]?(me|this)?[-_ ]?in
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
# These could begin a sentence or a program's name, so they count only where neither can stand.
_INSTRUCTION = re.compile(
    r"""
    (insert|enter|put|replace|add|set|fill[-_ ]?in)([-_ ].*)?[-_ ](here|this|yours?)
    | (please|insert|enter|replace)[_ ].* | your([-_ ].*)? | \[.*\] | none | null | n/a
    | @@?\w+@@? | %%?[a-z_]\w*%%? | __\w+__ | \#\{.*\} | \$\(.*\)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
# Templates for sed and envsubst: TRAINING_BUCKET, $RESULTS_BUCKET, ${ACCESS_KEY}. Nothing expands them here.
_VARIABLE = re.compile(
    r"\$\{?[A-Za-z_]\w*\}?|([A-Z]+_)+(BUCKET|CONTAINER|KEY|KEY_ID|URL|SECRET|PASSWORD|USERNAME)(_NAME)?"
)
_NAMED_AFTER_KEY = {
    "access_key_id",
    "secret_access_key",
    "user_name",
    "userId",
    "endpoint_url",
    "auth_url",
    "project_id",
}


# What the names of such things are made of: s3_endpoint_url, my_access_key_id, COS_SECRET, bucket_name.
_TEMPLATE_WORDS = frozenset(
    """
    my your our the some a an aws s3 cos ibm ibmcloud cloud wml ml dlaas ffdl object objectstore storage store
    service bluemix softlayer swift minio ceph gcs data training trained train results result input output source
    target model hmac api access key keys id secret password passwd pass user username name url uri endpoint auth
    host bucket container region project domain token credential credentials here goes value placeholder public
    private
    """.split()  # noqa: SIM905 - sixty lines otherwise
)
# The last of them says what belongs there.
_TEMPLATE_NOUNS = frozenset(
    """
    key id secret password passwd username url uri endpoint host region token name here value placeholder
    credential credentials
    """.split()  # noqa: SIM905 - sixty lines otherwise
)
_TEMPLATE_NAME = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+")
_PROSE = {"command", "name"}
_MAX_LENGTH = 200


def is_placeholder(key: str, text: str) -> bool:
    """Say whether a value is a template's filler: `<username>`, `xxx`, `PUT_KEY_HERE`, the name of its own key."""
    bare = text.strip()
    if len(bare) > _MAX_LENGTH or is_filler(bare):
        return is_filler(bare)
    return key not in _PROSE and bool(
        _INSTRUCTION.fullmatch(bare)
        or _is_template_name(bare)
        or _VARIABLE.fullmatch(bare)
        or (key.removeprefix("aws_") in _NAMED_AFTER_KEY and bare.removeprefix("aws_") == key.removeprefix("aws_"))
    )


def _is_template_name(text: str) -> bool:
    words = text.lower().split("_") if _TEMPLATE_NAME.fullmatch(text) else [""]
    return words[-1] in _TEMPLATE_NOUNS and _TEMPLATE_WORDS.issuperset(words)


def is_filler(text: str) -> bool:
    """Say whether a text can be nothing but filler, so that it may be shown even where a secret belongs."""
    return len(text) <= _MAX_LENGTH and _FILLER.fullmatch(text.strip()) is not None
