"""Text grown from YAML's grammar, and monsters: the few shapes that are known to break or stall its readers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from fuzz.scalars import SECRET, raw_scalar
from fuzz.trees import known_keys

_TOP = (
    "model_definition",
    "training_data_reference",
    "training_results_reference",
    "data_stores",
    "framework",
    "schedule",
)


def grown(rng: Random) -> str:
    """Return a file of maps and lists, in blocks and flows, whose keys are often those of manifests."""
    return "".join(_entry(rng, 0, rng.choice(_TOP)) for _ in range(rng.randrange(1, 8)))


def monster(rng: Random, manifest: str) -> str:
    """Return a file of the largest size or deepest nesting, made around a manifest or without one."""
    return rng.choice(_MONSTERS)(rng, manifest)


def _entry(rng: Random, level: int, key: str) -> str:
    pad = "  " * level
    anchor = f"&a{rng.randrange(4)} " if rng.random() < 0.1 else ""
    kind = rng.randrange(8)
    if level > 5 or kind < 4:
        return f"{pad}{key}: {anchor}{raw_scalar(rng)}\n"
    if kind < 6:
        inner = "".join(_entry(rng, level + 1, rng.choice(known_keys())) for _ in range(rng.randrange(5)))
        return f"{pad}{key}: {anchor}\n{inner}"
    if kind == 6:
        return f"{pad}{key}: {anchor}{_flow(rng, 0)}\n"
    items = "".join(f"{pad}- {anchor}{_entry(rng, level + 1, 'name').lstrip()}" for _ in range(rng.randrange(4)))
    return f"{pad}{key}:\n{items}"


def _flow(rng: Random, level: int) -> str:
    if level > 4 or rng.random() < 0.3:
        return rng.choice((raw_scalar(rng), f"*a{rng.randrange(4)}", "x"))
    inner = [_flow(rng, level + 1) for _ in range(rng.randrange(5))]
    if rng.random() < 0.5:
        return "[" + ", ".join(inner) + "]"
    return "{" + ", ".join(f"{rng.choice(known_keys()) or 'k'}: {each}" for each in inner) + "}"


def _laughs(rng: Random, manifest: str) -> str:
    """Ten anchors of ten aliases each: 300 bytes that unfold to 10**10 values."""
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10) if n else 'lol'}]" for n in range(rng.randrange(3, 30))]
    return "\n".join([*rows, manifest])


def _merged_laughs(rng: Random, manifest: str) -> str:
    rows = [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}], k{n}: 1}}" for n in range(1, rng.randrange(3, 30))]
    return "\n".join(["m0: &m0 {k: 1}", *rows, manifest])


def _deep(rng: Random, manifest: str) -> str:
    depth = 10 ** rng.randrange(2, 6)
    opening, closing = rng.choice(
        (("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", ""), ("[{a: ", "}]"), ("&a [", "]"), ("!x [", "]"))
    )
    text = (
        "a: "
        + opening * (depth // len(opening))
        + rng.choice(("", "1"))
        + closing * rng.choice((0, depth // len(opening)))
    )
    return rng.choice((text, manifest + "\n" + text))


def _stairs(rng: Random, manifest: str) -> str:
    return "\n".join(" " * n + "a:" for n in range(rng.choice((50, 500, 1400)))) + "\n" + manifest


def _many_keys(rng: Random, manifest: str) -> str:
    count = rng.choice((200, 9_000, 60_000))
    key = rng.choice(
        ("key{}: 1", "password{}: " + SECRET, "? key{}\n: 1", "'{}': &a{} x", "k{}: *a", "- {}", "\u202e{}: x", "{}:")
    )
    return manifest + "\n" + "\n".join(key.format(n, n) for n in range(count))


def _flat(rng: Random, manifest: str) -> str:
    piece = rng.choice(
        (
            "[],",
            "{},",
            "a,",
            "*a,",
            "'',",
            "? ,",
            "a: b,",
            "\t",
            "  ",
            "#",
            "#\n",
            "\n",
            "\r",
            "- ",
            "---\n",
            "\x85",
            "&a ",
            "!",
            "%",
        )
    )
    return rng.choice(("a: [", "a: {", "", manifest)) + piece * (rng.choice((1_000, 100_000, 1_000_000)) // len(piece))


def _long_line(rng: Random, manifest: str) -> str:
    lines = manifest.splitlines()
    at = rng.randrange(len(lines))
    lines[at] += (
        rng.choice(
            (
                " ",
                "x",
                " x",
                "\t",
                ":",
                " :",
                "a: ",
                "'",
                '"',
                "\\",
                "-",
                ",",
                "{",
                "#",
                " #",
                "é",
                "<",
                "@",
                "&&",
                "$(",
            )
        )
        * 200_000
    )
    return "\n".join(lines)


def _large(rng: Random, manifest: str) -> str:
    return manifest + "\n#" + "x" * rng.choice((2**20 - len(manifest.encode()) - 2, 2**20, 2**22))


_MONSTERS: tuple[Callable[[Random, str], str], ...] = (
    _laughs,
    _merged_laughs,
    _deep,
    _deep,
    _stairs,
    _many_keys,
    _flat,
    _long_line,
    _long_line,
    _large,
)
