"""Addresses as people write them, what may be shown of them, and what a message says."""

from __future__ import annotations

import json

import pytest
from manifest_samples import MANIFEST, masked, problems, read

from trainyard.domain.addresses import AddressPolicy
from trainyard.domain.message import Message
from trainyard.domain.notification import Address, Event, Recipient, is_address, read_address, shown_address, wants
from trainyard.domain.training import TrainingSpec

SECRET = "T0kenThatNobodySees"
CHAT, HOOK, MAIL = (
    f"slack://{SECRET}/{SECRET}/{SECRET}",
    f"https://hooks.example.com/{SECRET}?x={SECRET}",
    "mailto:a@b.de",
)
ALL = (CHAT, HOOK, MAIL, f"mailtos://ada:{SECRET}@mail.example.com?to=a@b.de", f"discord://{SECRET}/{SECRET}")


@pytest.mark.parametrize("text", ALL)
def test_an_address_is_taken_as_it_is_and_shown_without_its_secret(text):
    assert read_address(text) == text
    shown = shown_address(text)
    assert SECRET not in shown
    assert "****" in shown
    assert SECRET not in repr(Address(text, SECRET))


@pytest.mark.parametrize(
    "text",
    [
        f"file:///{SECRET}",
        f"json://example.com/{SECRET}",
        f"slack://{SECRET}?template=/etc/passwd",
        f"mailtos://u:{SECRET}@example.com?pgpkey=/etc/passwd",
        f"mailtos://u:{SECRET}@127.0.0.1?to=a@b.de",
        f"mailtos://u:{SECRET}@example.com?smtp=169.254.169.254",
        f"https://ada:{SECRET}@example.com/",
        f"http://example.com/{SECRET}",
        f"https://127.0.0.1/{SECRET}",
        f"https://169.254.169.254/{SECRET}",
        f"https://[::1]/{SECRET}",
        f"https://0x7f000001/{SECRET}",
        f"https:/{SECRET}",
        f"https://example.com/{SECRET}\nX-Header: 1",
        f"mailto:{SECRET}",
        f"mailto:a@b.de,{SECRET}@c.de",
    ],
)
def test_what_is_no_safe_address_is_refused_without_being_shown(text):
    refused = read_address(text, AddressPolicy())
    assert isinstance(refused, tuple)
    assert SECRET not in "".join(refused)


def test_an_address_inside_is_taken_where_whoever_runs_the_service_has_named_it():
    policy = AddressPolicy(internal=(("127.0.0.1", 8080),))
    assert read_address("http://127.0.0.1:8080/hook", policy) == "http://127.0.0.1:8080/hook"
    assert isinstance(read_address("http://127.0.0.1:8081/hook", policy), tuple)


def test_a_mail_address_alone_needs_a_mail_server_of_the_services():
    assert isinstance(read_address(MAIL, sends_mail=False), tuple)


def test_a_word_is_a_name_and_the_usual_events_are_those_that_need_somebody():
    assert not is_address("team-slack")
    assert shown_address("team-slack") == "team-slack"
    assert [event for event in Event if wants((), event)] == ["ended", "waiting", "warning", "skipped", "budget"]
    assert wants(("failed",), Event.FAILED)
    assert not wants(("failed",), Event.ENDED)


class TestManifest:
    def test_recipients_are_read_in_every_form_and_their_addresses_kept_apart(self):
        text = f"{MANIFEST}notify:\n- {CHAT}\n- team\n- {{to: '{HOOK}', on: [failed, started], secret: {SECRET}}}\n"
        found = read(text).submission
        shown = ("slack://****", "https://hooks.example.com/****")
        assert found.spec.notify == (
            Recipient(shown=shown[0]),
            Recipient(name="team"),
            Recipient(shown=shown[1], events=("failed", "started")),
        )
        assert found.addresses == (Address(CHAT), None, Address(HOOK, SECRET))
        assert TrainingSpec.from_dict(json.loads(json.dumps(found.spec.as_dict()))) == found.spec
        assert SECRET not in json.dumps(found.spec.as_dict())

    @pytest.mark.parametrize("form", ["notify: {0}\n", "notify: ['{0}']\n", "notify: [{{to: '{0}', secret: {1}}}]\n"])
    @pytest.mark.parametrize("address", ALL)
    def test_the_masked_manifest_has_no_address(self, form, address):
        text = masked(MANIFEST + form.format(address, SECRET))
        assert "notify" in text
        assert SECRET not in text

    @pytest.mark.parametrize("key", ["notfy", "notification", "notifications", "webhook"])
    @pytest.mark.parametrize("address", [CHAT, HOOK])
    def test_a_misspelt_key_shows_no_address_either(self, key, address):
        text = f"{MANIFEST}{key}: ['{address}']\n"
        assert SECRET not in repr(problems(text))
        if key != "notfy" or address == CHAT:
            assert SECRET not in masked(text)

    @pytest.mark.parametrize(
        "value",
        [
            f"{{to: '{HOOK}', on: [{SECRET}]}}",
            f"{{to: '{HOOK}', secret: {SECRET[:8]}}}",
            f"[{{too: '{HOOK}'}}]",
            f"[['{HOOK}']]",
            f"{{'{HOOK}': on}}",
            f"['ftp://{SECRET}']",
            f"['{SECRET} {SECRET}']",
        ],
    )
    def test_what_is_wrong_is_told_without_the_address(self, value):
        found = problems(f"{MANIFEST}notify: {value}\n")
        assert found
        assert SECRET[:8] not in repr(found)


class TestMessage:
    HOSTILE = "<!channel> @everyone [x](http://e.vil) `rm`\n\x1b[31m\u202e*b*"

    def test_what_strangers_named_shows_as_text_alone(self):
        message = Message("ended", "training-abc", name=self.HOSTILE, state="error", reason=self.HOSTILE, owner="ada")
        for text in (message.title, message.text.replace("\n", "")):
            assert not set("<>[`\x1b\u202e\n") & set(text)
            assert "://" not in text
            assert "@everyone" not in text

    def test_it_says_what_became_of_the_run_and_where_to_look(self):
        numbers = {f"m{number}": float(number) for number in range(20)}
        message = Message(
            "ended", "training-abc", "digits", "vision", "ada", "error", "C201", "it failed", "fix it", numbers, 3725
        )
        assert message.title == "digits has failed"
        assert message.text.splitlines()[:5] == [
            "Run: training-abc",
            "State: error",
            "Reason: C201: it failed",
            "Hint: fix it",
            "Took: 1 h 2 min",
        ]
        assert "m3 3, " in message.text
        assert "8 more" in message.text
        assert json.loads(json.dumps(message.as_dict()))["text"].startswith("digits has failed\n")
