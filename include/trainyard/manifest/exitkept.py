"""Whether what stands behind a command keeps its exit code, or may fail in its place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from trainyard.manifest.commandtree import Item, List, Pipeline, Simple, simple_commands
from trainyard.manifest.commandwords import program_name

_FEW = 10
_FAILING = {"exit", "false", "return", "[", "test"}


def exits_behind(tree: List) -> list[bool]:
    """Say of each item whether one behind it may end the shell with another code than 0, as `exit $code` does."""
    found, behind = [], False
    for item in reversed(tree.items):
        found.append(behind)
        behind = behind or any(
            each.words[:1] in (["exit"], ["return"]) and each.words[1:2] not in ([], ["0"])
            for each in simple_commands(item)
        )
    return found[::-1]


def tells_by_itself(rest: Sequence[Item]) -> bool:
    """Say whether what follows at once keeps the exit code: `exit` alone, or a look at `$?` with a test at the end."""
    first = next(simple_commands(rest[0]), Simple([]))
    if first.words in (["exit"], ["return"]):
        return True
    looks = any("$?" in word for each in islice(simple_commands(rest[0]), _FEW) for word in each.words)
    return looks and "||" not in rest[-1].operators and _is_test(rest[-1].pipelines[0])


def _is_test(pipeline: Pipeline) -> bool:
    (member, *more) = pipeline.members
    if isinstance(member, Simple):
        return not more and member.words[:1] in (["["], ["test"])
    return member.kind == "test"


def alternatives(item: Item) -> list[Pipeline | None]:
    """Return what runs in the place of each pipeline that fails: what stands behind the next `||`, if there is one."""
    other: Pipeline | None = None
    found = [other]
    for operator, after in zip(reversed(item.operators), reversed(item.pipelines), strict=False):
        other = after if operator == "||" else other
        found.append(other)
    return found[::-1]


def may_fail(pipeline: Pipeline) -> bool:
    commands = [each.words for each in simple_commands(List([Item([pipeline])]))]
    return not commands or any(
        program_name(words) or (words and words[0] in _FAILING and words[1:2] != ["0"]) for words in commands
    )
