"""`python -m trainyard.local.ready`, by which containers say whether they are well."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

_HEALTH = b'{"scheduler": {"status": "healthy"}, "dag_processor": {"status": "unhealthy"}}'


class _Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(_HEALTH)

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Health) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/health"
        server.shutdown()
        thread.join()


def ends_with(*arguments):
    return subprocess.run([sys.executable, "-m", "trainyard.local.ready", *arguments], check=False).returncode


def test_a_server_that_answers_is_alive_and_a_part_is_what_airflow_calls_it(url):
    assert ends_with(url) == 0
    assert ends_with(url, "scheduler") == 0
    assert ends_with(url, "dag-processor") == 1
    assert ends_with(url, "triggerer") == 1


def test_a_server_that_is_gone_is_not_alive():
    assert ends_with("http://127.0.0.1:1") == 1
    assert ends_with("http://127.0.0.1:1", "scheduler") == 1
