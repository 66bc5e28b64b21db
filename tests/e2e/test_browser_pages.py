"""The pages in a real Chromium, over the whole stack: each of them, a training from a form to a comparison."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from chromium import signed_in
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.local.environment import PROJECT
from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("stack")

_MEMBER = "ada"
_AXE = PROJECT / "include" / "trainyard" / "web" / "node_modules" / "axe-core" / "axe.min.js"
_MILLISECONDS = 1000 * RUN_LIMIT_SECONDS
_SIZES = ((380, 800), (1600, 1000))
# Its loss falls as fast as its rate is high; its log, a metric's name and a file hold what must never run.
_PROGRAM = """
import json, os, sys, time
rate = json.load(open("config.json"))["rate"] if os.path.exists("config.json") else 0.1
with open(os.path.join(os.environ["LOG_DIR"], "metrics.jsonl"), "a") as metrics:
    for step in range(200):
        line = {"step": step, "loss": (1 - rate) ** step, "<img src=x onerror=alert(1)>": step}
        metrics.write(json.dumps(line) + "\\n")
print("<script>document.title = 'owned'</script> \\x1b[31mred\\x1b[0m \\u202eback", flush=True)
time.sleep(4)
with open(os.path.join(os.environ["RESULT_DIR"], "<b>.json"), "w") as file:
    json.dump({"rate": rate, "html": "<script>alert(1)</script>"}, file)
"""


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: $SCREENSHOTS, or the session's own folder."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Browser:
    """Somebody's browser; what its pages log as an error, or ask another machine for, is noted."""

    def __init__(self, page: Any, yard: Yard, screenshots: Path) -> None:
        self.page, self._yard, self._screenshots = page, yard, screenshots
        self.errors: list[str] = []
        page.on("console", lambda said: self._said(said))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)
        page.on("dialog", lambda dialog: self.errors.append(f"a dialog: {dialog.message}"))

    def _said(self, said: Any) -> None:
        if said.type == "error":
            self.errors.append(f"{said.text} ({said.location.get('url')})")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self._yard.url, "blob:", "data:")):
            self.errors.append(f"asked {request.url}")

    def open(self, place: str) -> Any:
        self.page.goto(self._yard.url + place)
        return self.page

    def sized(self, width: int, height: int) -> None:
        self.page.set_viewport_size({"width": width, "height": height})

    def keep(self, name: str) -> None:
        self.page.screenshot(path=self._screenshots / f"{name}.png")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture
def browser(yard: Yard, playwright: Any, screenshots: Path, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Start browsers, each with a folder of its own, signed in as somebody."""
    opened = []

    def start(user: str = _MEMBER, **options: Any) -> Browser:
        folder = tmp_path / f"chromium-{len(opened)}"
        context = signed_in(playwright, folder, yard.url, yard.token(user), **options)
        opened.append(context)
        return Browser(context.new_page(), yard, screenshots)

    yield start
    for context in opened:
        context.close()


@pytest.fixture(scope="module")
def trained(yard: Yard) -> list[str]:
    """Two runs of a member's that have ended, and one that failed."""
    runs = [yard.submit_as(_MEMBER, "vision", _PROGRAM.replace("0.1", rate)) for rate in ("0.1", "0.02")]
    failed = yard.submit_as(_MEMBER, "vision", "import sys\nprint('the loss is gone')\nsys.exit(3)\n")
    for model_id in (*runs, failed):
        yard.finished(model_id)
    return [*runs, failed]


def _places(trained: list[str]) -> dict[str, str]:
    first, second, failed = trained
    return {
        "trainings": "/trainyard/",
        "experiments": "/trainyard/experiments",
        "run": f"/trainyard/runs/{first}",
        "failed": f"/trainyard/runs/{failed}",
        "log": f"/trainyard/runs/{first}/log",
        "files": f"/trainyard/runs/{first}/files",
        "file": f"/trainyard/runs/{first}/files/%3Cb%3E.json",
        "manifest": f"/trainyard/runs/{first}/manifest",
        "steps": f"/trainyard/runs/{first}/steps",
        "again": f"/trainyard/runs/{first}/again",
        "compare": f"/trainyard/compare?id={first}&id={second}",
        "new": "/trainyard/new",
        "new-from": f"/trainyard/new?from={first}",
        "notifications": "/trainyard/notifications",
        "quota": "/trainyard/quota",
    }


def _serious(page: Any) -> list[str]:
    """Return what keeps some people from using a page, as axe-core finds it."""
    page.evaluate(_AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_used_by_everybody_in_both_schemes_and_fits_small_and_large(
    browser: Callable[..., Browser], trained: list[str], scheme: str
) -> None:
    # axe-core is put into pages here, which their policy would keep out; what is said against it is another test's.
    looking = browser(bypass_csp=True)
    looking.page.emulate_media(color_scheme=scheme)
    found = {}
    for name, place in _places(trained).items():
        page = looking.open(place)
        for width, height in _SIZES:
            looking.sized(width, height)
            if name in ("run", "compare"):
                page.wait_for_selector(".chart canvas", timeout=_MILLISECONDS)
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            looking.keep(f"{name}-{width}-{scheme}")
            found[f"{name} at {width}"] = ([f"{wide} pixels too wide"] if wide > 0 else []) + _serious(page)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_nothing_of_what_programs_wrote_runs_and_nothing_comes_from_elsewhere(
    browser: Callable[..., Browser], trained: list[str]
) -> None:
    looking = browser()
    for name, place in _places(trained).items():
        page = looking.open(place)
        page.wait_for_load_state("networkidle")
        assert "owned" not in page.title(), name
    assert looking.errors == []
    assert "<script>alert(1)</script>" in looking.open(_places(trained)["file"]).inner_text("pre")
    log = looking.open(_places(trained)["log"]).inner_text("#log")
    assert "<script>document.title = 'owned'</script> red ‹U+202E›back" in log


def test_the_interface_is_described_without_the_internet(browser: Callable[..., Browser]) -> None:
    looking = browser()
    looking.open("/v3/docs").wait_for_selector("text=Submit trainings", timeout=_MILLISECONDS)
    looking.keep("docs")
    assert looking.errors == []


def test_everything_can_be_read_without_script(browser: Callable[..., Browser], trained: list[str]) -> None:
    looking = browser(java_script_enabled=False)
    first, _, failed = trained
    assert first in looking.open("/trainyard/").inner_text("main")
    assert "the loss is gone" in looking.open(f"/trainyard/runs/{failed}").inner_text("main")
    assert "red" in looking.open(f"/trainyard/runs/{first}/log").inner_text("main")
    assert "loss" in looking.open(f"/trainyard/runs/{first}").inner_text("main")


def test_airflow_shows_the_pages_in_its_menu_and_as_a_tab_of_a_run_to_members_too(
    browser: Callable[..., Browser], trained: list[str]
) -> None:
    looking = browser()
    looking.sized(1600, 1000)
    page = looking.open("/")
    page.click("text=Trainings", timeout=_MILLISECONDS)
    page.frame_locator("iframe").locator(f"text={trained[0]}").wait_for(timeout=_MILLISECONDS)
    looking.keep("airflow-menu")
    looking.open(f"/dags/{trained[0]}/runs/{trained[0]}/plugin/training-run")
    page.frame_locator("iframe").locator("text=Hyperparameters").wait_for(timeout=_MILLISECONDS)
    looking.keep("airflow-tab")


def test_who_is_not_signed_in_is_led_to_airflow_and_back(yard: Yard, browser: Callable[..., Browser]) -> None:
    looking = browser()
    page = looking.page
    page.context.clear_cookies()
    looking.open("/trainyard/quota")
    password = json.loads((yard.folder / "airflow" / "passwords.json").read_text())[_MEMBER]
    page.fill("input[name=username]", _MEMBER, timeout=_MILLISECONDS)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url("**/trainyard/quota", timeout=_MILLISECONDS)
    assert "Queue and quota" in page.inner_text("h1")


def test_a_training_is_handed_in_watched_compared_and_deleted(
    yard: Yard, browser: Callable[..., Browser], trained: list[str]
) -> None:
    manifest, model = yard.files("fails-with-3", program=_PROGRAM.replace("0.1", "0.05"))
    looking = browser()
    looking.sized(1600, 1000)
    page = looking.open("/trainyard/new")

    broken = manifest.read_text().replace("resource: small", "resource: enormous")
    page.fill("[data-manifest]", broken)
    page.wait_for_selector("text=1 fault.", timeout=_MILLISECONDS)
    assert "enormous" in page.inner_text("[data-faults]")
    assert page.is_disabled("[data-go]")
    looking.keep("new-fault")

    page.set_input_files("[data-manifest-file]", manifest)
    page.set_input_files("[data-zip]", model)
    page.wait_for_selector("text=without a fault", timeout=_MILLISECONDS)
    page.select_option("[data-account]", "vision")
    page.fill("[data-experiment]", "rates")
    page.wait_for_selector("[data-go]:not([disabled])", timeout=_MILLISECONDS)
    assert "--account vision --experiment rates" in page.inner_text("[data-command]")
    looking.keep("new-ready")
    page.click("[data-go]")

    page.wait_for_url("**/runs/training-*", timeout=_MILLISECONDS)
    model_id = page.url.rpartition("/")[2]
    page.wait_for_selector(".chart canvas", timeout=_MILLISECONDS)
    looking.keep("watching")
    page.wait_for_selector(".state-completed", timeout=_MILLISECONDS)

    looking.open("/trainyard/?owner=ada")
    for each in (model_id, trained[1]):
        page.check(f"input[value={each}]")
    page.click("text=Compare")
    page.wait_for_selector(".chart canvas", timeout=_MILLISECONDS)
    assert "train.py" in page.inner_text("main")
    looking.keep("compared")

    looking.open("/trainyard/?experiment=rates")
    page.check(f"input[value={model_id}]")
    page.click("text=Delete…")
    page.click("text=Delete it")
    page.wait_for_url("**/trainyard/", timeout=_MILLISECONDS)
    assert wait_for(lambda: yard.ask(_MEMBER, "GET", f"/v3/models/{model_id}").status_code == 404, 120)
    assert looking.errors == []


def test_a_training_starts_from_an_earlier_run_with_a_folder_and_comes_back_as_a_zip(
    yard: Yard, browser: Callable[..., Browser], trained: list[str], tmp_path: Path
) -> None:
    program = tmp_path / "program"
    (program / "data").mkdir(parents=True)
    (program / "train.py").write_text(_PROGRAM.replace("0.1", "0.03"))
    (program / "data" / "large.csv").write_text("1,2\n")
    (program / ".trainyardignore").write_text("data/\n")
    looking = browser()
    page = looking.open(f"/trainyard/runs/{trained[0]}")
    page.click("text=Start from this run…")
    page.wait_for_selector("text=without a fault", timeout=_MILLISECONDS)
    (program / "manifest.yml").write_text(page.input_value("[data-manifest]"))
    assert page.is_enabled("[data-go]")
    page.set_input_files("[data-folder]", program)
    page.wait_for_selector("text=program/, 2 files", timeout=_MILLISECONDS)
    looking.keep("new-folder")
    page.click("[data-go]")
    page.wait_for_url("**/runs/training-*", timeout=_MILLISECONDS)
    model_id = page.url.rpartition("/")[2]
    yard.finished(model_id)
    looking.open(f"/trainyard/runs/{model_id}/files")
    with page.expect_download() as coming:
        page.click("text=Download all as a zip")
    with ZipFile(coming.value.path()) as stored:
        assert stored.testzip() is None
        (result,) = (name for name in stored.namelist() if name.endswith("<b>.json"))
        assert json.loads(stored.read(result))["rate"] == 0.03
        (code,) = (name for name in stored.namelist() if name.endswith(".zip"))
        with ZipFile(io.BytesIO(stored.read(code))) as packed:
            assert packed.namelist() == ["train.py"]
    assert looking.errors == []


def test_an_admin_looks_after_the_service(browser: Callable[..., Browser]) -> None:
    looking = browser("admin")
    page = looking.open("/trainyard/health")
    page.click("text=Check the service")
    page.wait_for_selector("text=checks in", timeout=2 * _MILLISECONDS)
    looking.keep("health")
    assert "api-server" in page.inner_text("table")
    assert browser(_MEMBER).open("/trainyard/health").inner_text("main").startswith("Only an admin")
