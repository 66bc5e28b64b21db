"""The outbox: delivered at least once, tried again later and later, one address and account apart from another."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from trainyard.domain.message import Message
from trainyard.notify.courier import Courier
from trainyard.notify.failing import SendError
from trainyard.notify.outbox import MAX_AGE_SECONDS, MAX_DEAD, Delivery, Outbox, delivery_id

NOW = 1_700_000_000.0


def delivery(to="kept:a", run="training-abc", account="vision", made_at=NOW):
    message = Message("ended", run, at=made_at)
    return Delivery(delivery_id(account, "ended", run, "", to), account, to, to, message, made_at)


@pytest.fixture
def outbox(tmp_path):
    return Outbox(tmp_path / "outbox")


class Receivers:
    """Addresses in memory: `sent` has what arrived, `refusing` those that fail, `hanging` those that never answer."""

    def __init__(self, outbox):
        self.now, self.sent, self.tried = NOW, [], []
        self.refusing, self.hanging = set(), set()
        self.courier = Courier(outbox, self.send, lambda _: None, lambda: self.now, seconds=0.05)

    async def send(self, delivery):
        self.tried.append(delivery.to)
        if delivery.to in self.hanging:
            await asyncio.sleep(60)
        if delivery.to in self.refusing:
            raise SendError("it answers 503")
        self.sent.append((delivery.to, delivery.message.model_id))

    def looks(self, count=1):
        async def looking():
            for _ in range(count):
                await self.courier.look()
                await self.courier.rest()

        asyncio.run(looking())


@pytest.fixture
def receivers(outbox):
    return Receivers(outbox)


def test_what_is_put_arrives_once_however_often_it_is_told(outbox, receivers):
    assert outbox.put(delivery())
    assert not outbox.put(delivery())
    receivers.looks()
    assert not outbox.put(delivery())
    receivers.looks()
    assert receivers.sent == [("kept:a", "training-abc")]
    assert outbox.waiting() == []


def test_a_service_that_died_before_it_noted_the_arrival_sends_again(outbox, receivers, tmp_path):
    outbox.put(delivery())
    file = next((tmp_path / "outbox").glob("*.json"))
    text = file.read_text()
    receivers.looks()
    (tmp_path / "outbox" / "done" / file.name).unlink()
    file.write_text(text)
    Receivers(outbox).looks()
    assert outbox.waiting() == []


def test_a_half_written_file_and_one_that_is_none_hold_nothing_up(outbox, receivers, tmp_path):
    outbox.put(delivery())
    (tmp_path / "outbox" / ".0abc.1").write_text('{"id": ')
    (tmp_path / "outbox" / "0abc.json").write_text('{"id": ')
    (tmp_path / "outbox" / "0abd.json").write_text("[1]")
    receivers.looks()
    assert len(receivers.sent) == 1


def test_what_fails_is_tried_again_later_and_later_then_given_up_after_a_day(outbox, receivers):
    outbox.put(delivery())
    receivers.refusing.add("kept:a")
    pauses = []
    while outbox.waiting():
        receivers.looks()
        if waiting := outbox.waiting():
            pauses.append(waiting[0].next_at - receivers.now)
            receivers.now = waiting[0].next_at
    assert pauses[:4] == [10, 30, 90, 270]
    assert max(pauses) == 3600
    (dead,) = outbox.dead()
    assert dead.failure == "it answers 503"
    assert MAX_AGE_SECONDS <= receivers.now - NOW <= MAX_AGE_SECONDS + 3600
    receivers.refusing.clear()
    outbox.revive(dead, receivers.now + 1)
    receivers.now += 1
    receivers.looks()
    assert receivers.sent
    assert outbox.dead() == []


def test_what_no_other_try_can_mend_is_given_up_at_once(outbox):
    async def send(_):
        raise SendError("its address is not kept any more", for_good=True)

    outbox.put(delivery())
    courier = Courier(outbox, send, lambda _: None)

    async def once():
        await courier.look()
        await courier.rest()

    asyncio.run(once())
    assert [each.failure for each in outbox.dead()] == ["its address is not kept any more"]


def test_a_receiver_that_never_answers_holds_no_other_up_and_is_cut_off(outbox, receivers):
    receivers.hanging.add("kept:slow")
    for number in range(8):
        outbox.put(delivery("kept:slow", run=f"training-slow{number}"))
    outbox.put(delivery("kept:quick"))
    receivers.looks()
    assert receivers.sent == [("kept:quick", "training-abc")]
    assert receivers.tried.count("kept:slow") == 1, "what waits for it is not sent into the void one by one"
    assert [each.failure for each in outbox.waiting() if each.tries] == ["it takes more than 0 seconds"]


def test_an_account_with_many_slow_receivers_leaves_room_for_another(outbox, receivers):
    for number in range(40):
        receivers.hanging.add(f"kept:{number}")
        outbox.put(delivery(f"kept:{number}", run=f"training-{number}", made_at=NOW - 100))
    outbox.put(delivery("kept:other", account="speech"))
    receivers.looks()
    assert receivers.sent == [("kept:other", "training-abc")]


def test_a_message_that_its_receiver_refuses_does_not_hold_up_the_next_one(outbox, receivers):
    outbox.put(delivery(run="training-bad"))
    receivers.refusing.add("kept:a")
    receivers.looks()
    receivers.refusing.clear()
    outbox.put(delivery(run="training-good", made_at=NOW + 1))
    receivers.now += 6
    receivers.looks()
    assert receivers.sent == [("kept:a", "training-good")]


def test_a_fault_of_ours_is_a_failure_like_any_other_and_shows_no_text_of_it(outbox):
    async def send(_):
        raise RuntimeError("https://hooks.example.com/secret")

    outbox.put(delivery())
    reports = []
    courier = Courier(outbox, send, reports.append)

    async def once():
        await courier.look()
        await courier.rest()

    asyncio.run(once())
    assert outbox.waiting()[0].failure == "sending it failed with RuntimeError"
    assert "secret" not in "".join(reports)


def test_an_account_with_too_many_deliveries_leaves_the_others_theirs(outbox, monkeypatch):
    monkeypatch.setattr("trainyard.notify.outbox.MAX_WAITING", 3)
    put = [outbox.put(delivery(run=f"training-{number}")) for number in range(5)]
    assert put == [True, True, True, False, False]
    assert outbox.put(delivery(account="speech"))


def test_one_of_two_that_deliver_at_the_same_time_has_the_outbox(outbox):
    with outbox.delivering() as held, Outbox(outbox.folder).delivering() as second:
        assert (held, second) == (True, False)


def test_what_arrived_and_what_was_given_up_does_not_stay_for_ever(outbox, tmp_path):
    for number in range(MAX_DEAD + 5):
        given_up = replace(delivery(run=f"training-{number}"), failure="x")
        if number < 2:
            outbox.arrived(given_up)
        outbox.retry_later(given_up, "x", NOW, for_good=True)
    outbox.prune(NOW)
    assert len(outbox.dead()) == MAX_DEAD
    outbox.prune(NOW + 10**9)
    assert outbox.dead() == []
    assert list((tmp_path / "outbox" / "done").iterdir()) == []
