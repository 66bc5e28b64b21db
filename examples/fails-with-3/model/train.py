"""Begin like a training, keep a half-trained model, then fail with exit code 3."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    epochs = parser.parse_args().epochs

    files = sorted(path.name for path in Path(os.environ["DATA_DIR"]).iterdir())
    print(f"training with {', '.join(files)}", flush=True)
    checkpoint = Path(os.environ["RESULT_DIR"], "model", "half-trained.txt")
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    for epoch in range(1, epochs):
        checkpoint.write_text(f"the weights after epoch {epoch}\n")
        print(f"epoch {epoch}/{epochs}", flush=True)
    print(f"epoch {epochs}: the loss is not a number, giving up", file=sys.stderr)
    return 3


if __name__ == "__main__":
    sys.exit(main())
