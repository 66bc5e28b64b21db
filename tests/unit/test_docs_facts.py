"""Numbers, defaults and lists in the documentation are those of the code; its tables and links are whole."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from pod_samples import SMALL
from typer.main import get_command

from trainyard.airflow import programlog
from trainyard.cli.main import app
from trainyard.cluster import spec
from trainyard.cluster.environment import environment
from trainyard.core import registration
from trainyard.core.audit import event, files
from trainyard.core.maintenance import retention
from trainyard.doctor import judging, probepod
from trainyard.domain import digest, hyperparameters, metricrules, plan
from trainyard.domain.states import Phase, State
from trainyard.inbox import drops
from trainyard.local import parts
from trainyard.manifest import archive, compose, exitcode, grid, limits, schedule, shell
from trainyard.stores import listing, sampling
from trainyard.stores.moving import parts as pieces
from trainyard.stores.moving import retrying
from trainyard.stores.network import limits as network
from trainyard.stores.s3 import endpoint
from trainyard.tracking import record
from trainyard.workspace import leases
from trainyard.workspace.metrics import curves, stored
from trainyard.workspace.metrics import files as metricfiles

_PROJECT = Path(__file__).resolve().parents[2]
_DOCS = _PROJECT / "docs"
_OTHERS = ("README", "CHANGELOG", "CONTRIBUTING", "include/localkube/README")
_PAGES = sorted([*_DOCS.rglob("*.md"), *(_PROJECT / f"{name}.md" for name in _OTHERS)])
_MIB = 1024**2
_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
_SHIPPED = limits.load_limits(None, None, None)
_OWNED = sum(account.gpus for account in _SHIPPED.accounts.values())


def _text(page: str) -> str:
    """Return a page on one line, so that a sentence is found wherever its lines end."""
    return " ".join((_DOCS / f"{page}.md").read_text("utf-8").split())


_FACTS = [
    ("settings", f"and {parts.SIMULATED_GPUS} on a machine without any, as many as the shipped accounts own together"),
    ("settings", f"and {_OWNED} on a machine without any, as many as the shipped accounts own together"),
    ("cli", f"or up to {grid.MAX_RUNS} trainings at once"),
    ("rest", f"submits 1 to {grid.MAX_RUNS} trainings"),
    ("cli", f"At most {registration.MAX_EXPERIMENT_LENGTH} characters."),
    ("accounts", f"a sweep removes at most {retention.MAX_A_SWEEP} runs"),
    ("audit", f"a line has at most {event.MAX_LINE_BYTES:,} bytes"),
    ("audit", f"up to {event.MAX_DETAILS} values, {event.MAX_VALUE} bytes each"),
    ("audit", f"After {files.FILE_BYTES // _MIB} MiB, or a quarter of"),
    ("manifest", f"over {compose.MAX_VALUES:,} values (anchors unfolded), {compose.MAX_DEPTH} levels"),
    ("manifest", f"or a key over {compose.MAX_KEY_LENGTH} characters"),
    ("manifest", f"that the service or a shell gives a meaning; at most {hyperparameters.MAX}."),
    ("manifest", f"text (at most {hyperparameters.MAX_TEXT_LENGTH:,} characters)"),
    ("manifest", f"from `{schedule.MIN_EVERY // 60}m` to `{schedule.MAX_EVERY // 86400}d`"),
    ("manifest", f"default `{schedule.DEFAULT_EVERY // 60}m`"),
    ("manifest", f"or `500m`; default {plan.DEFAULT_CPU_MILLIS // 1000}."),
    ("manifest", f"Default `{plan.DEFAULT_MEMORY // 1024**3}GiB`."),
    ("manifest", f"for zips of more than {archive.RATIO_FLOOR // _MIB} MiB unpacked"),
    ("stores", f"A connection has {endpoint.CONNECT_SECONDS} seconds to come up and {endpoint.READ_SECONDS} to move"),
    ("stores", f"requests are tried {_WORDS[endpoint.ATTEMPTS]} times"),
    ("stores", f"is tried {_WORDS[retrying.ATTEMPTS]} times"),
    ("stores", f"of up to {_WORDS[sampling.MAX_FOLDERS]} folders"),
    ("stores", f"is read beyond {network.ANSWER_BYTES // _MIB} MiB"),
    ("stores", f"earns it back at {network.SLOWEST // 1024} KiB a second"),
    ("stores", f"whose names have {listing.MEAN_KEY} bytes on average"),
    ("stores", f"Objects above {digest.IN_PARTS // _MIB} MiB arrive as ranges"),
    ("stores", f"{pieces.SPAN // _MIB} MiB at least where they are that large"),
    ("stores", f"stored in parts of {digest.PART // _MIB} MiB"),
    ("stores", f"a lease | after {leases.LEASE_SECONDS:g} seconds"),
    ("stores", f"writes to every {leases.LEASE_SECONDS / leases.BEATS:g} seconds"),
    ("pod", f"of which {spec.RESERVED_DISK // 1024**3} GiB is reserved"),
    ("pod", f"the limit is {_WORDS[spec.CPU_BURST]} times the request"),
    ("doctor", f"{1 + 4 * len(_SHIPPED.accounts)} pools are as quotas.yaml and the settings say"),
    ("doctor", f"the accounts own {_OWNED}"),
    ("doctor", f"within {judging.SKEW_SECONDS:g} seconds"),
    ("doctor", f"its image included: 1 to {probepod.MAX_SECONDS:g}, by default"),
    ("mlflow", f"up to {record.MAX_POINTS:,} points, of all {record.MAX_ALL_POINTS:,}"),
    ("manifest", f"Of a run {curves.MAX_CURVES:,} metrics are kept, with names of {curves.MAX_NAME_LENGTH} characters"),
    ("manifest", f"and {curves.MAX_ALL_POINTS:,} points"),
    ("manifest", f"There may be {metricrules.MAX_PATTERNS} of {metricrules.MAX_PATTERN_LENGTH:,} characters each"),
    ("manifest", f"A line over {metricfiles.MAX_LINE // 1024} KiB"),
    ("manifest", f"(up to {shell.MAX_COMMAND:,} characters; their warnings begin"),
    ("stores", f"`at`, its place among all points; {stored.MAX_BYTES // _MIB} MiB at most"),
    ("pages", f"{programlog.MAX_LOOK // 1024} KiB at a look, {programlog.MAX_BURST // 1024} KiB in a burst"),
    ("pages", f"{programlog.BYTES_PER_SECOND} bytes a second for long and {programlog.MAX_LIVE // _MIB} MiB in all"),
    ("pages", f"and the last {programlog.MAX_END // _MIB} MiB when it ends"),
]


@pytest.mark.parametrize(("page", "sentence"), _FACTS)
def test_a_number_in_a_sentence_is_that_of_the_code(page, sentence):
    assert sentence in _text(page)


_LISTS = [
    ("cli", [f"`{state}`" for state in State]),
    ("rest", [f"`{state}`" for state in State]),
    ("cli", [f"`{phase}`" for phase in Phase]),
    ("inbox", [f"`{ending}`" for ending in drops.UNFINISHED]),
    ("manifest", [f"`{size}`" for size in _SHIPPED.sizes]),
]


@pytest.mark.parametrize(("page", "words"), _LISTS)
def test_a_list_in_a_page_is_whole(page, words):
    assert [word for word in words if word not in _text(page)] == []


def test_every_variable_of_a_pod_is_documented_with_its_value():
    found = {each["name"]: each["value"] for each in environment(replace(SMALL, plan=replace(SMALL.plan, gpus=0)))}
    rows = [line.split(" | ") for line in (_DOCS / "pod.md").read_text("utf-8").splitlines() if line.startswith("| `")]
    reported: dict[str, str] = {}
    for names, values in ((re.findall(r"`([A-Z_]+)`", row[0]), re.findall(r"`([^`]+)`", row[1])) for row in rows):
        reported |= dict(zip(names, values or [""] * len(names), strict=False))
    assert found.keys() - SMALL.spec.hyperparameters.keys() <= reported.keys()
    of_the_run = {"TRAINING_ID", "TRAINING_COMMAND", "GPU_COUNT", "LEARNER_PYTHON", *SMALL.spec.hyperparameters}
    fixed = found.keys() - of_the_run
    assert {name: reported[name] for name in fixed} == {name: found[name] for name in fixed}


def _lost_and_kept() -> list[tuple[str, str]]:
    """Return the rows of the table of commands that lose an exit code: the command, and what to write instead."""
    section = (
        (_DOCS / "manifest.md").read_text("utf-8").partition("| command | why | instead |")[2].partition("\n\n")[0]
    )
    rows = [re.split(r" (?<!\\)\| ", row.strip("| ")) for row in section.splitlines()[2:]]
    cells = [[each.replace("\\|", "|") for each in re.findall(r"`([^`]+)`", f"{row[0]} {row[-1]}")] for row in rows]
    return [(each[0], kept) for each in cells for kept in each[1:]]


@pytest.mark.parametrize(("lost", "kept"), _lost_and_kept())
def test_the_commands_that_the_manual_warns_of_are_warned_of_and_those_to_write_instead_are_not(lost, kept):
    assert exitcode.lost_exit_codes(lost) != []
    assert exitcode.lost_exit_codes(kept) == []


def _defaults() -> list[tuple[str, str, str]]:
    found = [
        (name, option, str(param.default))
        for name, command in get_command(app).commands.items()
        for param in command.params
        for option in param.opts
        if option.startswith("--") and str(param.default).isdigit()
    ]
    return [*found, ("audit", "--limit", "100")]


@pytest.mark.parametrize(("command", "option", "default"), _defaults())
def test_a_number_that_an_option_has_by_default_is_documented(command, option, default):
    pages = [(_DOCS / f"{page}.md").read_text("utf-8").splitlines() for page in ("cli", "doctor")]
    rows = [line for page in pages for line in page if line.startswith(f"| `{option} ")]
    assert any(re.search(rf"\b{default}\b", row) for row in rows), (command, option)


def _blocks(page: Path) -> list[list[str]]:
    """Return the runs of lines that begin with a bar, outside of code."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [block.strip().splitlines() for block in re.findall(r"(?:^\|.*\n?)+", prose, re.MULTILINE)]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_every_row_stands_in_a_table_with_as_many_cells(page):
    for rows in _blocks(page):
        assert re.fullmatch(r"[|-]+", rows[1]) if len(rows) > 1 else False, rows[0]
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
        assert len(cells) == 1, rows[0]


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file), target


def test_nobody_is_told_to_install_the_project_of_somebody_else():
    assert [page.name for page in _PAGES if re.search(r"pip install \"?trainyard", page.read_text("utf-8"))] == []


def test_the_wheel_is_installed_by_the_name_that_it_has():
    project = tomllib.loads((_PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    file = f"{project['name'].replace('-', '_')}-{project['version']}-py3-none-any.whl"
    assert f"pip install dist/{file}" in (_DOCS / "cli.md").read_text("utf-8")
