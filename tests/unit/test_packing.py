"""A folder as the program: what is packed of it, and which commit it was at."""

from __future__ import annotations

import subprocess
import zipfile

import pytest

from trainyard.client.errors import WrongUsageError
from trainyard.client.packing import packed
from trainyard.domain.codeversion import MAX_DIFF_BYTES, CodeVersion, read_code_version
from trainyard.errors import TrainyardError

_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a program, and a git that reads no configuration of this machine."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    there = tmp_path / "work"
    _write(there, "train.py", "print('hello')\n")
    return there


@pytest.fixture
def repository(folder):
    """The same folder with one commit on the branch `main`."""
    _git(folder, "init", "-q", "-b", "main")
    _commit(folder)
    return folder


def _write(folder, name, text=""):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def _git(folder, *words):
    subprocess.run(["git", "-c", "user.name=Ada", "-c", "user.email=a@b", "-C", folder, *words], check=True)


def _commit(folder):
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "--no-gpg-sign", "-m", "a step")


def _names(folder, *manifests):
    with packed(folder, manifests) as found:
        return zipfile.ZipFile(found.zip).namelist()


def _code(folder, *manifests):
    with packed(folder, manifests) as found:
        return found.code


class TestWhatIsLeftOut:
    def test_rules_are_those_of_gitignore(self, folder):
        for name in ("data/a.bin", "sub/data/b.bin", "best.ckpt", "keep.ckpt", "sub/notes.txt", "notes.txt"):
            _write(folder, name)
        _write(folder, ".trainyardignore", "# none of these\n/data/\n*.ckpt\n!keep.ckpt\nsub/*.txt\n\n")
        assert _names(folder) == ["keep.ckpt", "notes.txt", "sub/data/b.bin", "train.py"]

    def test_what_tools_leave_behind_is_no_program_unless_a_rule_says_so(self, folder):
        for name in (".git/config", ".venv/bin/python", "lib/__pycache__/x.pyc", ".trainyard/client.json", ".env"):
            _write(folder, name)
        assert _names(folder) == [".env", "train.py"]
        _write(folder, ".trainyardignore", "!.venv/\n")
        assert _names(folder) == [".env", ".venv/bin/python", "train.py"]

    def test_the_manifest_with_its_keys_is_not_packed(self, folder):
        _write(folder, "manifest.yml", "secret")
        _write(folder, "other.yml")
        assert _names(folder, folder / "manifest.yml", "-nowhere-") == ["other.yml", "train.py"]

    def test_a_folder_that_is_left_out_may_be_a_link_or_unreadable_to_nobodys_harm(self, folder, tmp_path):
        (folder / "data").symlink_to(tmp_path)
        with pytest.raises(WrongUsageError, match="link to a folder"):
            _names(folder)
        _write(folder, ".trainyardignore", "data\n")
        assert _names(folder) == ["train.py"]

    @pytest.mark.parametrize("rules", [b"!\n", b"\xff\xfe\n"])
    def test_rules_that_cannot_be_read_are_refused_with_their_place(self, folder, rules):
        (folder / ".trainyardignore").write_bytes(rules)
        with pytest.raises(WrongUsageError, match=r"\.trainyardignore"):
            _names(folder)

    def test_a_folder_of_data_is_refused_with_what_to_do(self, folder, monkeypatch):
        monkeypatch.setattr("trainyard.client.packing.MAX_FOLDER_BYTES", 10)
        with pytest.raises(WrongUsageError, match="more than 10 bytes") as refused:
            _names(folder)
        assert ".trainyardignore" in refused.value.hint


class TestCommit:
    def test_a_clean_tree_is_its_commit_alone(self, repository):
        found = _code(repository)
        assert len(found.commit) == 40
        assert found == CodeVersion(found.commit, "main")

    def test_changed_new_and_removed_files_count_and_the_diff_has_what_git_knows(self, repository):
        _write(repository, "gone.py")
        _commit(repository)
        (repository / "gone.py").unlink()
        _write(repository, "train.py", "print('changed')\n")
        _write(repository, "new.py")
        found = _code(repository)
        assert (found.changed, found.dirty) == (3, True)
        assert "+print('changed')" in found.diff
        assert "deleted file" in found.diff

    def test_what_is_not_packed_is_not_noted(self, repository):
        for name in ("manifest.yml", "secret.env"):
            _write(repository, name, "old\n")
        _write(repository, ".trainyardignore", "*.env\n")
        _commit(repository)
        for name in ("manifest.yml", "secret.env"):
            _write(repository, name, "5b1c0ffee\n")
        found = _code(repository, repository / "manifest.yml")
        assert (found.changed, found.diff) == (0, "")

    def test_a_folder_inside_a_repository_is_compared_by_itself(self, repository):
        _write(repository, "sub/run.py", "1\n")
        _commit(repository)
        _write(repository, "train.py", "changed\n")
        assert _code(repository / "sub").changed == 0
        _write(repository, "sub/run.py", "2\n")
        assert _code(repository / "sub").changed == 1

    def test_without_repository_or_commit_nothing_is_noted(self, folder):
        assert _code(folder) is None
        _git(folder, "init", "-q")
        assert _code(folder) is None

    def test_a_long_diff_is_cut_and_says_so(self, repository):
        _write(repository, "train.py", "é\n" * MAX_DIFF_BYTES)
        found = _code(repository)
        assert found.diff_cut
        assert len(found.diff.encode()) <= MAX_DIFF_BYTES


class TestWhatAClientTells:
    def test_it_comes_back_as_it_was_sent(self):
        sent = CodeVersion(_COMMIT, "main", 2, "-a\n+b\n", diff_cut=True)
        assert read_code_version(sent.as_json()) == sent
        assert read_code_version("") is None

    @pytest.mark.parametrize(
        "text",
        [
            "{",
            "[]",
            "{}",
            '{"commit": "main"}',
            f'{{"commit": "{_COMMIT}", "branch": "a\\u001bb"}}',
            f'{{"commit": "{_COMMIT}", "changed": -1}}',
            f'{{"commit": "{_COMMIT}", "changed": true}}',
            f'{{"commit": "{_COMMIT}", "diff": 3}}',
            f'{{"commit": "{_COMMIT}", "diff_cut": "no"}}',
        ],
    )
    def test_what_is_no_commit_is_refused(self, text):
        with pytest.raises(TrainyardError, match="the field code"):
            read_code_version(text)

    def test_control_characters_of_a_diff_steer_no_terminal(self):
        found = read_code_version(f'{{"commit": "{_COMMIT}", "diff": "a\\u001b[2Jb"}}')
        assert found.diff == "a\ufffd[2Jb"
