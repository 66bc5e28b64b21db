"""A real MLflow server in one process: `serve.py FOLDER`. It runs in the interpreter of the server's own environment.

Its port is in FOLDER/port once it answers. `mlflow server` starts helpers and a gateway beside it, which need all of
pandas; the application is the same.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    folder = Path(sys.argv[1])
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = f"sqlite:///{folder}/mlflow.db"
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = f"{folder}/artifacts"
    from mlflow.server import app
    from werkzeug.serving import make_server

    # The first request makes the database.
    first = app.test_client().get("/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default")
    assert first.status_code == 200, first.text
    server = make_server("127.0.0.1", 0, app, threaded=True)
    aside = folder / "port.new"
    aside.write_text(str(server.server_port))
    aside.rename(folder / "port")
    server.serve_forever()


main()
