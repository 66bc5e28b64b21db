"""The pages over Airflow's auth manager and database: two members of two accounts, an admin, and nobody."""

from __future__ import annotations

import html
import io
import re
import warnings
import zipfile

import pytest
from accountsyard import LATER_RUN, OTHER_RUN
from accountsyard import yard as yard  # a fixture
from frontdoorfakes import Http
from historyworld import end_run, parse_dag, start_run
from historyworld import world as world  # a fixture of the fixture
from late import Late
from samples import MODEL_ID, training

from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

users = Late("airflow.api_fastapi.auth.managers.simple.user")
_HERE = {"Origin": "http://front.door"}


@pytest.fixture
def pages(yard):
    """What makes a browser of somebody: its cookie, and what it says of where a request comes from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from airflow.api_fastapi import app as airflow_app

        from trainyard.api.app import create_app
        from trainyard.web.app import create_pages
    app, manager = create_pages(create_app()), airflow_app.create_auth_manager()
    manager.init()

    def browser(name="", role="user", **headers):
        user = users.SimpleAuthManagerUser(username=name, role=role)
        cookie = {"Cookie": f"_token={manager.generate_jwt(user)}"} if name else {}
        return Http(app, {**cookie, **headers})

    return browser


_OF_A_RUN = ["", "/log", "/manifest", "/steps", "/files", "/again"]


class TestWhoSeesWhat:
    # What lies in the bucket, which does not answer here, is said to be missing on the run's own page.
    @pytest.mark.parametrize("place", _OF_A_RUN)
    def test_a_member_sees_the_runs_of_the_own_account_and_no_others(self, pages, place):
        ada = pages("ada")
        assert MODEL_ID in ada.get(f"/runs/{MODEL_ID}{place}").text
        others = ada.get(f"/runs/{OTHER_RUN}{place}")
        assert others.status_code == 404
        assert "speech" not in others.text

    def test_the_list_has_the_runs_of_the_own_accounts_alone(self, pages):
        seen = pages("ada").get("/").text
        assert (MODEL_ID in seen, OTHER_RUN in seen, "speech" in seen) == (True, False, False)

    def test_an_admin_sees_all(self, pages):
        seen = pages("root", "admin").get("/").text
        assert MODEL_ID in seen
        assert OTHER_RUN in seen

    @pytest.mark.parametrize("place", ["/?experiment=x", "/experiments", f"/dags/{OTHER_RUN}", "/?q=mnist&owner=ada"])
    def test_no_other_list_tells_of_others_runs(self, pages, place):
        assert OTHER_RUN not in pages("ada").get(place).text.replace(f"/dags/{OTHER_RUN}", "").replace(
            f"<title>Runs of {OTHER_RUN}", ""
        )

    @pytest.mark.parametrize("place", ["/", f"/runs/{MODEL_ID}", "/experiments", "/?state=error&today=1"])
    def test_nobody_is_led_to_airflows_login_and_back(self, pages, place):
        answer = pages().get(place)
        assert answer.status_code == 302
        path, _, query = place.partition("?")
        back = path.replace("/", "%2F") + ("%3F" + query.replace("=", "%3D").replace("&", "%26") if query else "")
        assert answer.headers["location"] == f"/api/v2/auth/login?next={back}"

    def test_the_front_door_below_the_pages_asks_too(self, pages):
        assert pages().get("/v3/models").status_code == 401
        assert pages("ada").get("/v3/models").json()["total"] == 1
        assert pages("ada").get(f"/v3/models/{OTHER_RUN}").status_code == 404

    def test_a_cookie_that_is_not_valid_is_no_session(self, pages):
        for cookie in ("_token=x", "_token=", "_token=e30.e30.e30", "session=1"):
            assert pages(Cookie=cookie).get("/").status_code == 302

    def test_a_user_of_no_account_sees_no_run(self, pages):
        seen = pages("mallory").get("/").text
        assert MODEL_ID not in seen
        assert pages("mallory").get(f"/runs/{MODEL_ID}").status_code == 404


_SECURE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


class TestEveryPage:
    """The pages that there are, so that one which is added is tried too."""

    @pytest.fixture
    def there(self, pages):
        """Every verb and path but those of the front door and of script and style, of the run of another account."""
        named = {"model_id": OTHER_RUN, "dag_id": OTHER_RUN, "name": "model/a", "experiment_id": "of-nobody"}
        found = [
            (verb, re.sub(r"{(\w+)(:path)?}", lambda name: named[name[1]], route.path))
            for route in pages().app.routes
            for verb in getattr(route, "methods", None) or ()
            if not route.path.startswith("/assets/")
        ]
        assert len(found) > 12
        return found

    def test_of_anothers_run_it_tells_a_member_nothing(self, pages, there):
        ada = pages("ada", **_HERE)
        of_runs = [(verb, place) for verb, place in there if f"/runs/{OTHER_RUN}" in place]
        assert len(of_runs) >= 7
        assert {ada.ask(verb, place).status_code for verb, place in of_runs} == {404}
        others = [ada.ask(verb, place, json={}) for verb, place in there if (verb, place) not in of_runs]
        assert not [answer.request.url for answer in others if "speech" in answer.text or answer.status_code >= 500]

    def test_nobody_gets_any(self, pages, there):
        answers = {(verb, place): pages().ask(verb, place) for verb, place in there}
        expected = {asked: 302 if asked[0] == "GET" else 401 for asked in answers}
        assert {asked: answer.status_code for asked, answer in answers.items()} == expected

    def test_no_change_is_made_for_another_site(self, pages, there):
        changes = [(verb, place) for verb, place in there if verb != "GET"]
        assert changes
        assert {pages("root", "admin").ask(verb, place).status_code for verb, place in changes} == {403}

    def test_each_answer_has_its_security_headers(self, pages, there):
        browsers = [pages(), pages("ada"), pages("ada", **_HERE), pages("root", "admin")]
        places = [*there, ("GET", "/nothing"), ("GET", "/?page=x"), ("GET", f"/runs/{MODEL_ID}"), ("PUT", "/")]
        for answer in [browser.ask(verb, place) for browser in browsers for verb, place in places]:
            missing = _SECURE.items() - dict(answer.headers).items()
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            # What the guard of all pages refuses is no page, and says where it came from to nobody at all.
            assert {name for name, _ in missing} <= {"referrer-policy"}
            assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer")

    def test_so_has_one_that_nobody_foresaw(self, pages):
        ada = pages("ada")
        ada.app.state.quotas = None
        answer = Http(ada.app, ada.headers, raises=False).get("/quota")
        assert (answer.status_code, "The service failed" in answer.text) == (500, True)
        assert _SECURE.items() <= dict(answer.headers).items()
        assert "script-src 'self'" in answer.headers["content-security-policy"]


class TestFilesOfARunThatGoesOn:
    @pytest.fixture
    def made(self, yard, tmp_path):
        """What the run has in its RESULT_DIR so far."""
        start_run(yard, run_id=LATER_RUN, validate="success", stage="success", train="deferred")
        folder = Workspace(tmp_path / "workspace").run(RunKey(MODEL_ID, LATER_RUN)).result
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("half a model <b>")
        (folder / "leads-out").symlink_to("/etc/passwd")
        return folder

    def test_they_are_listed_and_shown_and_downloaded_from_where_they_are(self, pages, made):
        ada = pages("ada")
        listed = ada.get(f"/runs/{LATER_RUN}/files").text
        assert ("What the run has made so far" in listed, "notes.txt" in listed, "leads-out" in listed) == (
            True,
            True,
            False,
        )
        assert f"/v3/models/{LATER_RUN}/files/notes.txt" in listed
        assert "half a model &lt;b&gt;" in ada.get(f"/runs/{LATER_RUN}/files/notes.txt").text
        assert ada.get(f"/v3/models/{LATER_RUN}/files/notes.txt").text == "half a model <b>"

    def test_what_is_no_file_of_the_run_is_not_shown(self, pages, made):
        for name in ("leads-out", "gone", "..%2Fstate"):
            assert pages("ada").get(f"/runs/{LATER_RUN}/files/{name}").status_code == 404


class TestChanges:
    def test_a_change_that_another_site_asked_for_is_refused(self, pages, yard):
        form = {"do": "delete", "id": MODEL_ID, "meant": "1"}
        elsewhere = ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site", **_HERE})
        for headers in ({}, *elsewhere):
            answer = pages("ada", **headers).post("/actions", data=form)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "C106")
        assert yard.history.find(MODEL_ID)

    def test_it_is_refused_below_the_front_door_too(self, pages):
        assert pages("ada").delete(f"/v3/models/{MODEL_ID}").status_code == 403

    def test_who_deletes_is_asked_first(self, pages, yard):
        answer = pages("ada", **_HERE).post("/actions", data={"do": "delete", "id": MODEL_ID})
        assert (answer.status_code, "Delete 1 run?" in answer.text) == (200, True)
        assert yard.history.find(MODEL_ID)

    def test_what_is_meant_is_done(self, pages, yard):
        answer = pages("ada", **_HERE).post("/actions", data={"do": "delete", "id": MODEL_ID, "meant": "1"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert MODEL_ID not in pages("ada").get("/").text
        deleted = pages("ada").get("/?deleted=1").text
        assert (MODEL_ID in deleted, "Bring back" in deleted) == (True, True)
        answer = pages("ada", **_HERE).post("/actions", data={"do": "undelete", "id": MODEL_ID})
        assert (answer.status_code, MODEL_ID in pages("ada").get("/").text) == (303, True)

    @pytest.mark.parametrize("meant", ["", "1"])
    def test_nobody_changes_a_run_of_others(self, pages, yard, meant):
        for do in ("cancel", "delete", "again", "undelete"):
            form = {"do": do, "id": [MODEL_ID, OTHER_RUN], "meant": meant}
            assert pages("ada", **_HERE).post("/actions", data=form).status_code in (400, 404)
        assert yard.history.find(OTHER_RUN)
        assert yard.history.find(MODEL_ID)

    def test_what_could_not_be_done_is_told_of_each_run(self, pages):
        answer = pages("ada", **_HERE).post("/actions", data={"do": "cancel", "id": MODEL_ID, "meant": "1"})
        assert (answer.status_code, "has ended already" in answer.text) == (409, True)


class TestRunAgain:
    @staticmethod
    def _form(page, **changes):
        """Return what a browser sends: the form's names and values in their order, some of them changed."""
        shown = r'name="name" value="(\w+)"><(?:input|textarea) name="value"(?: value="([^"]*)"|[^>]*>([^<]*)<)'
        values = {name: html.unescape(one or other) for name, one, other in re.findall(shown, page)} | changes
        (key,) = re.findall(r'name="key" value="(\w+)"', page)
        return {"name": list(values), "value": list(values.values()), "key": key}

    def test_it_has_what_is_changed_in_the_form_and_names_the_run_that_it_repeats(self, pages, yard):
        ada = pages("ada", **_HERE)
        form = self._form(ada.get(f"/runs/{MODEL_ID}/again").text, command="python3 other.py") | {"called": "mine"}
        answers = [ada.post(f"/runs/{MODEL_ID}/again", data=form) for _ in range(2)]
        places = {answer.headers["location"] for answer in answers}
        assert ([answer.status_code for answer in answers], len(places)) == ([303, 303], 1)
        run = yard.history.find(places.pop().rpartition("/")[2])
        assert (run.parent, run.owner, dict(run.overrides)) == (MODEL_ID, "ada", {"command": "python3 other.py"})
        assert run.name == "mine"
        assert f"/runs/{MODEL_ID}" in ada.get(f"/runs/{run.model_id}").text

    def test_what_cannot_be_is_said_beside_what_was_written(self, pages, yard):
        ada = pages("ada", **_HERE)
        form = self._form(ada.get(f"/runs/{MODEL_ID}/again").text, command=" ")
        answer = ada.post(f"/runs/{MODEL_ID}/again", data=form)
        assert (answer.status_code, "command cannot be" in answer.text) == (400, True)
        assert yard.catalogue.starts.all() == {}

    def test_ticked_runs_are_run_again_once_they_are_meant(self, pages, yard):
        ada = pages("ada", **_HERE)
        asked = ada.post("/actions", data={"do": "again", "id": MODEL_ID})
        assert (asked.status_code, "Run 1 run again?" in asked.text) == (200, True)
        (key,) = re.findall(r'name="key" value="(\w+)"', asked.text)
        for _ in range(2):
            done = ada.post("/actions", data={"do": "again", "id": MODEL_ID, "meant": "1", "key": key})
            assert (done.status_code, done.headers["location"]) == (303, "/")
        assert len(yard.catalogue.starts.all()) == 1

    def test_nobody_runs_what_is_of_others(self, pages, yard):
        form = {"name": ["command"], "value": ["python3 other.py"], "key": "0" * 32}
        assert pages("ada", **_HERE).post(f"/runs/{OTHER_RUN}/again", data=form).status_code == 404
        assert yard.catalogue.starts.all() == {}


class TestLists:
    def test_the_newest_run_is_first_and_a_head_turns_the_order_round(self, pages):
        root = pages("root", "admin")
        orders = [re.findall(r'<tr data-id="([\w-]+)"', root.get(place).text) for place in ("/", "/?up=1")]
        assert orders[0] == orders[1][::-1]
        assert len(orders[0]) == 2

    @pytest.mark.parametrize(
        "key", ["name", "experiment", "owner", "account", "framework", "gpus", "state", "started", "ended", "duration"]
    )
    def test_it_is_sorted_by_each_column(self, pages, key):
        answer = pages("root", "admin").get(f"/?sort={key}&up=1")
        assert answer.status_code == 200
        assert answer.text.count("<tr data-id=") == 2

    def test_by_account(self, pages):
        found = re.findall(r'<tr data-id="([\w-]+)"', pages("root", "admin").get("/?sort=account&up=1").text)
        assert found == [OTHER_RUN, MODEL_ID]

    @pytest.mark.parametrize("place", ["/?page=0", "/?page=x", "/?sort=secret", f"/?q={'x' * 300}"])
    def test_an_address_that_makes_no_sense_is_refused_in_words(self, pages, place):
        answer = pages("ada").get(place)
        assert answer.status_code == 400
        assert "this page does not take" in answer.text

    def test_a_page_behind_the_last_is_empty(self, pages):
        assert "There is no run yet" in pages("ada").get("/?page=9").text


class TestHostileNames:
    _NAME = "<script>alert(1)</script>\u202e'\"><a href=javascript:alert(2)>"

    @pytest.mark.parametrize("place", ["/", "/runs/{id}", "/compare?id={id}&id=" + MODEL_ID, "/quota", "/experiments"])
    def test_what_people_write_is_text_on_every_page(self, pages, yard, place):
        model_id = "training-hostile00"
        yard.catalogue.add(training(model_id, "vision", name=self._NAME, owner=self._NAME, experiment=self._NAME))
        text = pages("ada").get(place.format(id=model_id)).text
        assert "&lt;script&gt;alert(1)" in text
        assert not re.search(r"<script>|<a href=javascript|\u202e", text)

    def test_so_is_what_was_asked_for(self, pages):
        text = pages("ada").get("/?q=%3Cscript%3E").text
        assert "<script>" not in text
        assert "&lt;script&gt;" in text


class TestRuns:
    def test_a_page_that_is_not_there_is_told_as_a_page(self, pages):
        answer = pages("ada").get("/nothing")
        assert (answer.status_code, "There is nothing at this path." in answer.text) == (404, True)

    def test_a_failure_leads_the_page(self, pages, yard):
        failed = "training-failed000"
        yard.catalogue.add(training(failed, "vision"))
        parse_dag(yard, failed)
        start_run(
            yard, failed, validate="success", stage="success", train="failed", upload="success", cleanup="success"
        )
        end_run(yard, failed, "failed", train=Outcome("C201", "the program ended with exit code 3", "Look at its log."))
        text = pages("ada").get(f"/runs/{failed}").text
        assert text.index("The program ended with exit code 3.") < text.index("Hyperparameters")
        assert "Look at its log." in text

    def test_the_part_that_changes_comes_alone(self, pages):
        part = pages("ada").get(f"/runs/{MODEL_ID}?part=live").text
        assert "<html" not in part
        assert "training" in part


class TestComparing:
    def test_runs_are_compared_with_only_what_differs(self, pages, yard):
        second = "training-second000"
        yard.catalogue.add(training(second, "vision", hyperparameters={"lr": 0.5}))
        parse_dag(yard, second)
        start_run(yard, second)
        text = pages("ada").get(f"/compare?id={MODEL_ID}&id={second}").text
        assert "2 runs side by side" in text
        assert re.search(r"hyperparameter</span> <bdi>lr", text)
        assert "framework</bdi>" not in text
        assert "framework</bdi>" in pages("ada").get(f"/compare?id={MODEL_ID}&id={second}&all=1").text

    @pytest.mark.parametrize("ids", ["", f"id={MODEL_ID}", f"id={MODEL_ID}&id={MODEL_ID}", "&".join(["id=a"] * 101)])
    def test_one_run_or_too_many_are_refused(self, pages, ids):
        assert pages("ada").get(f"/compare?{ids}").status_code == 400

    def test_a_run_of_others_is_not_compared(self, pages):
        answer = pages("ada").get(f"/compare?id={MODEL_ID}&id={OTHER_RUN}")
        assert answer.status_code == 404
        assert "speech" not in answer.text


class TestSubmitting:
    def test_a_draft_is_checked_as_the_front_door_does(self, pages):
        answer = pages("ada", **_HERE).post("/new/check", json={"manifest": "model_definition: {name: x}"})
        problems = answer.json()["problems"]
        assert problems
        assert {"message", "hint", "path", "line", "column", "code"} <= problems[0].keys()

    def test_an_account_of_others_is_refused_in_the_same_words(self, pages):
        answer = pages("ada", **_HERE).post("/new/check", json={"manifest": "x: 1", "account": "speech"})
        assert "no member of an account speech" in answer.json()["problems"][0]["message"]

    def test_nothing_written_is_no_fault(self, pages):
        assert pages("ada", **_HERE).post("/new/check", json={"manifest": " \n"}).json() == {
            "problems": [],
            "empty": True,
        }

    @pytest.mark.parametrize(
        "draft", [{}, {"manifest": 3}, {"manifest": "x" * 600_000}, {"manifest": "x", "set": ["a=" + "1" * 3000]}]
    )
    def test_a_draft_that_is_none_is_refused(self, pages, draft):
        assert pages("ada", **_HERE).post("/new/check", json=draft).status_code == 400

    def test_another_site_has_nothing_checked(self, pages):
        assert pages("ada").post("/new/check", json={"manifest": "x: 1"}).status_code == 403

    def test_the_form_offers_the_own_accounts_alone(self, pages):
        text = pages("ada").get("/new").text
        assert '<option value="vision">' in text
        assert "speech" not in text


class TestStartingFrom:
    def test_an_earlier_run_fills_the_form_by_its_id_and_by_its_name(self, pages):
        ada = pages("ada")
        for wanted in (MODEL_ID, "tf-mnist", MODEL_ID[-4:]):
            text = ada.get(f"/new?from={wanted}").text
            assert f'data-from="{MODEL_ID}"' in text
            assert "name: tf-mnist" in text
        assert f"/new?from={MODEL_ID}" in ada.get(f"/runs/{MODEL_ID}").text

    def test_of_several_by_one_name_it_asks_which(self, pages, yard):
        yard.catalogue.add(training("training-second000", "vision"))
        text = pages("ada").get("/new?from=tf-mnist").text
        assert ("Which run?" in text, 'data-from=""' in text) == (True, True)
        assert {MODEL_ID, "training-second000"} <= set(re.findall(r"/new\?from=([\w-]+)", text))

    def test_a_run_of_others_is_not_there(self, pages):
        ada = pages("ada", **_HERE)
        assert ada.get(f"/new?from={OTHER_RUN}").status_code == 404
        for part in (OTHER_RUN[-5:], "tf-mnist"):
            assert OTHER_RUN not in ada.get(f"/new?from={part}").text
        answer = ada.post("/new/check", json={"manifest": "x: 1", "from": OTHER_RUN}).json()
        assert answer["problems"][0]["code"] == "C107"
        form = {"manifest": ("job.yaml", b"x: 1")}
        assert ada.post("/v3/models", files=form, data={"from": OTHER_RUN}).status_code == 404

    def test_without_a_zip_and_an_earlier_run_nothing_is_handed_in(self, pages):
        answer = pages("ada", **_HERE).post("/v3/models", files={"manifest": ("job.yaml", b"x: 1"), "zip": ("", b"")})
        assert (answer.status_code, "no zip is given" in answer.text) == (400, True)


class TestFolders:
    def _wanted(self, pages, names, rules=""):
        return pages("ada", **_HERE).post("/new/wanted", json={"names": names, "rules": rules}).json()

    def test_what_is_no_part_of_the_program_stays_out(self, pages):
        names = ["train.py", ".git/", ".trainyardignore", "data/", "data/a.csv", "keep.ckpt", "x/y.ckpt"]
        kept = self._wanted(pages, names, "data/\n*.ckpt\n!keep.ckpt\n")
        assert kept == {"names": ["train.py", "keep.ckpt"]}

    def test_what_is_no_rule_is_said(self, pages):
        assert ".trainyardignore:2: '!' is no rule" in self._wanted(pages, ["a"], "x\n!\n")["message"]

    def test_a_hostile_rule_takes_no_time(self, pages):
        assert self._wanted(pages, ["a" * 4000] * 50, "*a" * 40 + "b\n") == {"names": ["a" * 4000] * 50}


class TestNotifications:
    _SECRET = "xoxb-A1B2"

    def test_an_address_is_kept_tested_and_forgotten_and_never_shown_whole(self, pages):
        ada, address = pages("ada", **_HERE), f"slack://{self._SECRET}/b/c"
        kept = ada.post("/notifications", data={"do": "keep", "name": "team", "address": address, "on": "failed"})
        assert (kept.status_code, "team is kept." in kept.text) == (200, True)
        tested = ada.post("/notifications", data={"do": "test", "name": "team"})
        assert "A test is on its way to team" in tested.text
        seen = ada.get("/notifications").text
        assert ("slack://****" in seen, self._SECRET in seen + kept.text + tested.text) == (True, False)
        assert "team" not in re.findall("<bdi>(.*?)</bdi>", pages("grace").get("/notifications").text)
        assert "team is forgotten." in ada.post("/notifications", data={"do": "remove", "name": "team"}).text
        assert "slack://****" not in ada.get("/notifications").text

    def test_what_is_no_address_is_said_and_not_sent_back(self, pages):
        form = {"do": "keep", "name": "team", "address": f"file:///{self._SECRET}"}
        answer = pages("ada", **_HERE).post("/notifications", data=form)
        assert (answer.status_code, "no address that notifications can be sent to" in answer.text) == (400, True)
        assert self._SECRET not in answer.text

    def test_those_of_an_account_are_an_admins_to_change_and_its_members_to_see(self, pages):
        form = {"do": "keep", "name": "all", "address": "slack://a/b/c", "account": "vision"}
        assert pages("ada", **_HERE).post("/notifications", data=form).status_code == 403
        assert pages("root", "admin", **_HERE).post("/notifications", data=form).status_code == 200
        assert "account <bdi>vision</bdi>" in pages("ada").get("/notifications").text
        assert "vision" not in pages("grace").get("/notifications").text
        assert pages("ada", **_HERE).post("/notifications", data={**form, "do": "remove"}).status_code == 403


class TestState:
    def test_a_member_sees_the_own_accounts_and_what_waits_in_them(self, pages, yard):
        yard.catalogue.add(training("training-waits0000", "vision"), training("training-theirs000", "speech"))
        text = pages("ada").get("/quota").text
        assert "training-waits0000" in text
        assert "training-theirs000" not in text
        assert "speech" not in text

    @pytest.mark.parametrize("verb", ["get", "post"])
    def test_the_health_of_the_service_is_an_admins(self, pages, verb):
        assert getattr(pages("ada", **_HERE), verb)("/health").status_code == 403
        assert "Service health" not in pages("ada").get("/").text
        assert pages("root", "admin").get("/health").status_code == 200


class TestStoredDocuments:
    _DEFINITION = """\
name: digits
framework: {name: tensorflow, version: "2.16"}
command: python3 train.py
training_data_reference:
- connection: {endpoint_url: https://objects.example.com, access_key_id: AKIADATA, secret_access_key: s3cret}
  source: {bucket: training-data, type: s3}
"""
    _EXPERIMENT = """\
settings: {name: Rates & more}
training_references:
- {name: first, training_definition_url: /v3/training_definitions/ID, compute_configuration: {name: small}}
training_results_reference:
  connection: {endpoint_url: https://objects.example.com, access_key_id: AKIADATA, secret_access_key: s3cret}
  target: {bucket: training-results}
  type: s3
"""

    @pytest.fixture
    def stored(self, pages):
        """The id of an experiment that ada has stored."""
        ada, zipped = pages("ada", **_HERE), io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            archive.writestr("train.py", "print('hello')")
        files = {"manifest": ("a.yml", self._DEFINITION.encode()), "zip": ("a.zip", zipped.getvalue())}
        definition = ada.ask("POST", "/v3/training_definitions", files=files).json()["id"]
        files = {"manifest": ("b.yml", self._EXPERIMENT.replace("ID", definition).encode())}
        return ada.ask("POST", "/v3/experiments", files=files).json()["id"]

    def test_an_experiment_is_run_by_its_button_once(self, pages, yard, stored):
        ada, before = pages("ada", **_HERE), set(yard.catalogue.ids())
        shown = ada.get("/stored").text
        assert f'action="/stored/{stored}/runs"' in shown
        assert "Rates &amp; more" in shown
        form = {"key": re.search(r'name="key" value="(\w+)"', shown)[1]}
        answers = [ada.ask("POST", f"/stored/{stored}/runs", data=form) for _ in range(2)]
        assert {answer.status_code for answer in answers} == {303}
        assert answers[0].headers["location"].startswith("/?experiment=Rates%20%26%20more")
        assert len(set(yard.catalogue.ids()) - before) == 1

    def test_others_see_and_run_none_of_it(self, pages, yard, stored):
        grace, before = pages("grace", **_HERE), set(yard.catalogue.ids())
        assert "Rates" not in grace.get("/stored").text
        assert grace.ask("POST", f"/stored/{stored}/runs", data={"key": ""}).status_code == 404
        assert set(yard.catalogue.ids()) == before
