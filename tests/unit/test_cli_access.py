"""Which service the commands talk to and as whom, and `trainyard login`."""

from __future__ import annotations

import json
import os
import stat

import pytest

from trainyard.client.access import find_access, is_loopback, login_file, service_url, warnings_of
from trainyard.client.errors import WrongUsageError

pytest_plugins = ["cli_front_door"]


def stack(folder, url, **more):
    (folder / ".trainyard").mkdir(parents=True)
    (folder / ".trainyard" / "client.json").write_text(json.dumps({"url": url, **more}))


def kept(environ, url, token):
    file = login_file(environ)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"url": url, "username": "ada", "token": token}))


@pytest.fixture
def environ(tmp_path):
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


class TestOrder:
    def test_the_nearest_stack_upward_is_used(self, tmp_path, environ):
        stack(tmp_path, "http://127.0.0.1:1", username="admin", password="far")
        stack(tmp_path / "near", "http://127.0.0.1:2", username="admin", password="near")
        deep = tmp_path / "near" / "a" / "b"
        deep.mkdir(parents=True)
        access = find_access(None, environ, deep)
        assert (access.url, access.username, access.password) == ("http://127.0.0.1:2", "admin", "near")

    def test_a_stack_comes_before_a_login(self, tmp_path, environ):
        stack(tmp_path, "http://127.0.0.1:1", username="admin", password="secret")
        kept(environ, "https://train.example", "token")
        assert find_access(None, environ, tmp_path).url == "http://127.0.0.1:1"

    def test_a_login_is_used_where_there_is_no_stack(self, tmp_path, environ):
        kept(environ, "https://train.example", "token")
        access = find_access(None, environ, tmp_path)
        assert (access.url, access.token, access.can_sign_in) == ("https://train.example", "token", False)

    def test_the_option_comes_before_the_environment(self, tmp_path, environ):
        environ |= {"TRAINYARD_URL": "http://127.0.0.1:1", "TRAINYARD_TOKEN": "token"}
        access = find_access("http://127.0.0.1:2/", environ, tmp_path)
        assert (access.url, access.token) == ("http://127.0.0.1:2", "token")

    def test_kept_credentials_never_go_to_another_url(self, tmp_path, environ):
        stack(tmp_path, "http://127.0.0.1:1", username="admin", password="secret")
        kept(environ, "https://train.example", "token")
        access = find_access("https://other.example", environ, tmp_path)
        assert (access.token, access.username, access.password) == (None, None, None)

    def test_kept_credentials_are_found_for_the_url_that_is_named(self, tmp_path, environ):
        stack(tmp_path, "http://127.0.0.1:1", username="admin", password="secret")
        kept(environ, "https://train.example/yard", "token")
        assert find_access("https://TRAIN.example/yard/", environ, tmp_path).token == "token"

    def test_name_and_password_of_the_environment_replace_a_kept_token(self, tmp_path, environ):
        kept(environ, "https://train.example", "token")
        environ |= {"TRAINYARD_USERNAME": "grace", "TRAINYARD_PASSWORD": "compiler"}
        access = find_access(None, environ, tmp_path)
        assert (access.token, access.username, access.can_sign_in) == (None, "grace", True)

    def test_without_any_service_the_hint_names_both_ways_to_one(self, tmp_path, environ):
        with pytest.raises(WrongUsageError) as caught:
            find_access(None, environ, tmp_path)
        assert "`trainyard up`" in caught.value.hint
        assert "`trainyard login --url URL`" in caught.value.hint

    def test_a_file_that_cannot_be_read_is_named_without_what_it_holds(self, tmp_path, environ):
        stack(tmp_path, "http://ada:hunter2@127.0.0.1:1")
        with pytest.raises(WrongUsageError) as caught:
            find_access(None, environ, tmp_path)
        assert "client.json" in caught.value.message
        assert "hunter2" not in caught.value.message + caught.value.hint

    @pytest.mark.skipif(os.getuid() != 0, reason="only root may give a file away")
    def test_another_person_s_stack_in_an_open_folder_is_passed_over(self, tmp_path, environ):
        stack(tmp_path, "http://127.0.0.1:1", username="admin", password="secret")
        os.chown(tmp_path / ".trainyard" / "client.json", 65534, 65534)
        with pytest.raises(WrongUsageError):
            find_access(None, environ, tmp_path)

    def test_no_secret_shows_in_a_repr(self, tmp_path, environ):
        stack(tmp_path, "http://127.0.0.1:1", username="admin", password="hunter2", token="t0ken")
        shown = repr(find_access(None, environ, tmp_path))
        assert "hunter2" not in shown
        assert "t0ken" not in shown


class TestUrl:
    @pytest.mark.parametrize("text", ["localhost:8080", "ftp://a.example", "http://", "http://a:99999", "http://[1"])
    def test_what_is_no_whole_url_is_refused(self, text):
        with pytest.raises(WrongUsageError, match="is no URL of a service"):
            service_url(text)

    def test_a_url_with_a_password_is_refused_and_not_repeated(self):
        with pytest.raises(WrongUsageError) as caught:
            service_url("https://ada:hunter2@train.example")
        assert "hunter2" not in caught.value.message + caught.value.hint

    @pytest.mark.parametrize("url", ["http://localhost:1", "http://127.9.9.9", "http://[::1]:80", "http://a.localhost"])
    def test_loopback_is_known_and_not_warned_of(self, url):
        assert is_loopback(url)
        assert warnings_of(url) == []

    def test_plain_http_to_another_machine_is_warned_of(self):
        assert "not encrypted" in warnings_of("http://train.example")[0]
        assert warnings_of("https://train.example") == []


class TestSignIn:
    def test_a_known_password_fetches_the_token_first(self, run, front_door, home):
        stack(home, front_door.url, username="ada", password="engine")
        assert run("list").code == 0
        assert [(method, token) for method, _, token in front_door.asked] == [("POST", ""), ("GET", "Bearer fresh")]

    def test_a_token_that_is_no_longer_taken_is_renewed_once(self, run, front_door, home):
        stack(home, front_door.url, username="ada", password="engine", token="stale")
        assert run("list").code == 0
        assert [token for _, _, token in front_door.asked] == ["Bearer stale", "", "Bearer fresh"]

    def test_renewing_ends_after_once(self, run, front_door, home):
        from cli_front_door import refusal

        stack(home, front_door.url, username="ada", password="engine")
        for _ in range(3):
            front_door.force("GET", "/v3/models", refusal(401, "C105", "the token is not valid"))
        done = run("list")
        assert done.code == 1
        assert len(front_door.paths("GET")) == 2

    def test_a_token_without_a_password_ends_in_the_hint(self, cli, monkeypatch):
        monkeypatch.setenv("TRAINYARD_TOKEN", "stale")
        done = cli("list")
        assert done.code == 1
        assert "error C105: the token is not valid" in done.err
        assert "trainyard login" in done.err


class TestLogin:
    def test_login_keeps_url_and_token_for_the_owner_alone_and_never_the_password(self, run, front_door, monkeypatch):
        done = run("login", "--url", front_door.url, "--username", "ada", "--password-stdin", stdin=b"engine\n")
        assert done.out == f"Signing in to {front_door.url} as 'ada' ...\nOK\nLogin successful\n"
        file = login_file(os.environ)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text()) == {"url": front_door.url, "username": "ada", "token": "fresh"}
        assert [path.name for path in file.parent.iterdir()] == ["login.json"]
        assert run("list").code == 0

    def test_the_password_may_come_from_the_environment(self, run, front_door, monkeypatch):
        monkeypatch.setenv("TRAINYARD_URL", front_door.url)
        monkeypatch.setenv("TRAINYARD_USERNAME", "ada")
        monkeypatch.setenv("TRAINYARD_PASSWORD", "engine")
        done = run("login", "-o", "json")
        assert done.data == {"url": front_door.url, "username": "ada", "kept_in": str(login_file(os.environ))}

    def test_a_wrong_password_is_refused_and_nothing_is_kept(self, run, front_door):
        done = run("login", "--url", front_door.url, "--username", "ada", "--password-stdin", stdin=b"hunter2")
        assert done.code == 1
        assert "does not know this user name with this password" in done.err
        assert "hunter2" not in done.err
        assert not login_file(os.environ).exists()

    def test_a_host_that_is_no_trainyard_is_not_kept(self, run, front_door):
        from cli_front_door import Answer

        front_door.force("GET", "/v3/models", Answer(404, {"detail": "Not Found"}))
        done = run("login", "--url", front_door.url, "--username", "ada", "--password-stdin", stdin=b"engine")
        assert done.code == 1
        assert "there is no Trainyard service at" in done.err
        assert not login_file(os.environ).exists()

    @pytest.mark.parametrize("words", [["--username", "ada"], ["--password-stdin"]])
    def test_where_nobody_can_be_asked_what_is_missing_is_wrong_usage(self, run, front_door, words):
        done = run("login", "--url", front_door.url, *words)
        assert done.code == 2
        assert "there is no terminal to ask on" in done.err

    def test_a_login_without_a_url_is_wrong_usage(self, run):
        assert run("login", "--username", "ada").code == 2

    def test_plain_http_to_another_machine_is_warned_of(self, run):
        done = run("login", "--url", "http://nowhere.invalid", "--username", "ada", "--password-stdin", stdin=b"x")
        assert done.code == 1
        assert "warning: http://nowhere.invalid is not encrypted" in done.err
