"""When a watcher calls for hands, and which bucket a URL means."""

from __future__ import annotations

import pytest
from inbox_fakes import NOW, Bucket, Door, run_pass

from trainyard.domain.training import Credentials, StoreRef
from trainyard.errors import TrainyardError
from trainyard.inbox.passing import look
from trainyard.inbox.place import inbox_ref, open_inbox
from trainyard.inbox.watching import AGAIN_SECONDS, Watch
from trainyard.settings import read_settings

_DAY = 86_400.0


@pytest.fixture
def bucket():
    made = Bucket()
    made.drop()
    return made


def _due(watch, bucket, now=NOW):
    return [drop.place for drop in watch.due(look(bucket), now)]


class TestWatching:
    def test_a_drop_is_called_for_once_it_is_the_same_at_two_looks(self, bucket):
        watch = Watch(_DAY)
        assert _due(watch, bucket) == []
        assert _due(watch, bucket) == ["inbox/vision/one/"]

    def test_it_is_not_called_for_again_while_it_is_being_handled(self, bucket):
        watch = Watch(_DAY)
        assert [_due(watch, bucket, NOW + second) for second in range(4)] == [[], ["inbox/vision/one/"], [], []]

    def test_it_is_called_for_again_if_it_stays(self, bucket):
        watch = Watch(_DAY)
        _due(watch, bucket), _due(watch, bucket)
        assert _due(watch, bucket, NOW + AGAIN_SECONDS - 1) == []
        assert _due(watch, bucket, NOW + AGAIN_SECONDS) == ["inbox/vision/one/"]

    def test_it_is_not_called_for_while_it_grows(self, bucket):
        watch = Watch(_DAY)
        for _ in range(4):
            bucket.objects["inbox/vision/one/model.zip"] += b"x"
            assert _due(watch, bucket) == []
        assert _due(watch, bucket) == ["inbox/vision/one/"]

    def test_the_same_files_dropped_again_are_called_for_again(self, bucket):
        watch, files = Watch(_DAY), dict(bucket.objects)
        _due(watch, bucket), _due(watch, bucket)
        bucket.objects.clear()
        _due(watch, bucket)
        bucket.objects.update(files)
        assert [_due(watch, bucket), _due(watch, bucket)] == [[], ["inbox/vision/one/"]]

    def test_a_new_watcher_calls_for_everything_that_is_there(self, bucket):
        _due(Watch(_DAY), bucket), _due(Watch(_DAY), bucket)
        restarted = Watch(_DAY)
        assert [_due(restarted, bucket), _due(restarted, bucket)] == [[], ["inbox/vision/one/"]]

    def test_a_half_written_drop_is_called_for_at_first_and_after_its_day(self, bucket):
        del bucket.objects["inbox/vision/one/model.zip"]
        watch = Watch(_DAY)
        assert [_due(watch, bucket), _due(watch, bucket)] == [[], ["inbox/vision/one/"]]
        run_pass(bucket, Door())
        assert _due(watch, bucket, NOW + AGAIN_SECONDS) == []
        assert _due(watch, bucket, NOW + _DAY) == ["inbox/vision/one/"]
        assert _due(watch, bucket, NOW + _DAY + 1) == []


class TestPlaces:
    @pytest.mark.parametrize(
        ("url", "ref"),
        [
            ("https://s3.example.com/drops", StoreRef("s3", "drops", "https://s3.example.com")),
            ("http://127.0.0.1:9000/drops/", StoreRef("s3", "drops", "http://127.0.0.1:9000")),
            (
                "https://s3.example.com/drops?region=eu-de",
                StoreRef("s3", "drops", "https://s3.example.com", region="eu-de"),
            ),
            (
                "swift+https://id.example.com/v3/drops?region=dallas&domain=7&project=9",
                StoreRef("bluemix_objectstore", "drops", "https://id.example.com/v3", "dallas", "7", "9"),
            ),
            ("file:///srv/my%20drops", StoreRef("folder", "my drops", "file:///srv")),
        ],
    )
    def test_a_url_names_a_bucket(self, url, ref):
        assert inbox_ref(url) == ref

    @pytest.mark.parametrize(
        "url",
        ["drops", "https://s3.example.com", "https://s3.example.com/", "ftp://x/y", "file://host/x", "file:///",
         "https://key:5b1c0ffee@s3.example.com/drops", "swift+file:///x/y"],
    )  # fmt: skip
    def test_what_names_no_bucket_is_refused_with_the_forms_there_are(self, url):
        with pytest.raises(TrainyardError) as refusal:
            inbox_ref(url)
        assert "TRAINYARD_INBOX" in refusal.value.message
        assert "swift+https://" in refusal.value.hint
        assert "5b1c0ffee" not in refusal.value.message + refusal.value.hint

    def test_a_folder_is_open_without_being_open_to_trainings(self, tmp_path):
        (tmp_path / "drops" / "inbox" / "vision" / "one").mkdir(parents=True)
        (tmp_path / "drops" / "inbox" / "vision" / "one" / "m.yml").write_text("name: x")
        store = open_inbox(f"file://{tmp_path}/drops", Credentials("", ""), read_settings({}))
        assert [drop.place for drop in look(store).drops] == ["inbox/vision/one/"]
