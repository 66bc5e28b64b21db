"""A shell command as a tree of simple commands, pipelines, lists and compound commands, without running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from trainyard.manifest.shell import Token, UncertainError, shell_tokens

_MAX_DEPTH = 30
_MAX_ITEMS = 200
_AND_OR = ("&&", "||")
_PIPES = ("|", "|&")
_CASE_ENDS = (";;", ";&", ";;&")
_CLOSING_WORDS = frozenset("then do done fi else elif esac }".split())  # noqa: SIM905 - as the shell's manual has them


@dataclass
class Simple:
    """One command with its words as they are written."""

    words: list[str]


@dataclass
class Compound:
    """`kind` is group, subshell, if, loop, case, function or test; each body is a list of its own.

    `name` is a function's, or `while` or `until` of a loop with a condition.
    """

    kind: str
    bodies: list[List] = field(default_factory=list)
    conditions: list[List] = field(default_factory=list)
    name: str = ""


@dataclass
class Pipeline:
    members: list[Simple | Compound]
    negated: bool = False


@dataclass
class Item:
    """Pipelines between `&&` and `||`; `behind` is the operator after the last one."""

    pipelines: list[Pipeline]
    operators: list[str] = field(default_factory=list)
    behind: str = ""


@dataclass
class List:
    items: list[Item] = field(default_factory=list)


def command_tree(command: str) -> List:
    """Return the tree of a command; raise UncertainError for what is not understood, or is nested too deeply."""
    parser = _Parser(shell_tokens(command))
    tree = parser.list_until(())
    if parser.here is not None:
        raise UncertainError
    return tree


def simple_commands(node: List | Item) -> Iterator[Simple]:
    """Yield every simple command below a node, those of functions left out."""
    for item in node.items if isinstance(node, List) else [node]:
        for pipeline in item.pipelines:
            for member in pipeline.members:
                if isinstance(member, Simple):
                    yield member
                elif member.kind != "function":
                    for body in (*member.conditions, *member.bodies):
                        yield from simple_commands(body)


class _Parser:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def here(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def list_until(self, ends: Sequence[str]) -> List:
        """Read items up to one of these words or operators, which is left for the caller."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise UncertainError
        found = List()
        self._skip_line_ends()
        while self.here and self.here.text not in ends:
            found.items.append(self._item(ends))
            self._skip_line_ends()
            if len(found.items) > _MAX_ITEMS:
                raise UncertainError
        self._depth -= 1
        return found

    def _item(self, ends: Sequence[str]) -> Item:
        item = Item([self._pipeline(ends)])
        while operator := self._take_operator(*_AND_OR):
            self._skip_line_ends()
            item.operators.append(operator)
            item.pipelines.append(self._pipeline(ends))
        if self.here and self.here.text not in ends:
            item.behind = self._take_operator(";", "&", "\n") or self._uncertain()
        return item

    def _pipeline(self, ends: Sequence[str]) -> Pipeline:
        negated = bool(self._take_word("!"))
        members = [self._command(ends)]
        while self._take_operator(*_PIPES):
            self._skip_line_ends()
            members.append(self._command(ends))
        return Pipeline(members, negated)

    def _command(self, ends: Sequence[str]) -> Simple | Compound:
        if self.here is None or (self.here.text in ends and self.here.operator):
            raise UncertainError
        if self._take_operator("("):
            return self._bracket()
        if self.here.operator or self.here.text in _CLOSING_WORDS:
            raise UncertainError
        readers = {
            "{": lambda: Compound("group", [self._body("}")]),
            "if": self._if,
            "while": lambda: self._loop("while"),
            "until": lambda: self._loop("until"),
            "for": self._for,
            "select": self._for,
            "case": self._case,
            "[[": self._test,
            "function": self._function,
        }
        if reader := readers.get(self.here.text):
            self._at += 1
            compound: Compound = reader()
            return compound
        return self._simple()

    def _simple(self) -> Simple | Compound:
        words: list[str] = []
        while self.here and not self.here.operator:
            words.append(self.here.text)
            self._at += 1
        if len(words) == 1 and self._take_operator("("):
            self._expect(")")
            return self._function_body(words[0])
        return Simple(words)

    def _bracket(self) -> Compound:
        if self._take_operator("("):  # (( arithmetic ))
            while self.here and self.here.text != ")":
                self._at += 1
            self._expect(")")
            self._expect(")")
            return Compound("test")
        return Compound("subshell", [self._body(")")])

    def _if(self) -> Compound:
        found = Compound("if")
        while True:
            found.conditions.append(self._body("then"))
            found.bodies.append(self.list_until(("elif", "else", "fi")))
            if self._take_word("fi"):
                return found
            if self._take_word("else"):
                found.bodies.append(self._body("fi"))
                return found
            self._expect("elif")

    def _loop(self, name: str) -> Compound:
        return Compound("loop", conditions=[self._body("do")], bodies=[self._body("done")], name=name)

    def _for(self) -> Compound:
        while self.here and not (self.here.text == "do" and not self.here.operator):
            self._at += 1
        self._expect("do")
        return Compound("loop", [self._body("done")])

    def _case(self) -> Compound:
        found = Compound("case")
        while self.here and not self._take_word("in"):
            self._at += 1
        self._skip_line_ends()
        while not self._take_word("esac"):
            while self.here and not self._take_operator(")"):
                self._at += 1
            found.bodies.append(self.list_until((*_CASE_ENDS, "esac")))
            self._take_operator(*_CASE_ENDS)
            self._skip_line_ends()
            if self.here is None:
                raise UncertainError
        return found

    def _test(self) -> Compound:
        while self.here and not self._take_word("]]"):
            self._at += 1
        return Compound("test")

    def _function(self) -> Compound:
        name = self.here.text if self.here else self._uncertain()
        self._at += 1
        if self._take_operator("("):
            self._expect(")")
        return self._function_body(name)

    def _function_body(self, name: str) -> Compound:
        self._skip_line_ends()
        if self._take_word("{"):
            return Compound("function", [self._body("}")], name=name)
        self._expect("(")
        return Compound("function", [self._body(")")], name=name)

    def _body(self, end: str) -> List:
        found = self.list_until((end,))
        self._expect(end)
        return found

    def _expect(self, text: str) -> None:
        if self.here is None or self.here.text != text:
            raise UncertainError
        self._at += 1

    def _take_word(self, text: str) -> str:
        return self._take(text, operator=False)

    def _take_operator(self, *texts: str) -> str:
        return next((text for text in texts if self._take(text, operator=True)), "")

    def _take(self, text: str, *, operator: bool) -> str:
        if self.here is None or self.here.text != text or self.here.operator != operator:
            return ""
        self._at += 1
        return text

    def _skip_line_ends(self) -> None:
        while self._take_operator("\n"):
            pass

    def _uncertain(self) -> str:
        raise UncertainError
