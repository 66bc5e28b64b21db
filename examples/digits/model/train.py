"""Train a small neural network to read handwritten digits and keep it in $RESULT_DIR/model."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import joblib
import numpy as np
from idx import read_idx
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

DIGITS = np.arange(10)


def main() -> None:
    options = read_options()
    train_images, train_labels = pixels(options.trainImagesFile), read_idx(options.trainLabelsFile)
    test_images, test_labels = pixels(options.testImagesFile), read_idx(options.testLabelsFile)
    print(f"{len(train_images)} images to train with, {len(test_images)} to test with", flush=True)

    network = MLPClassifier(hidden_layer_sizes=(96,), learning_rate_init=options.learningRate, random_state=0)
    epochs = max(1, round(options.trainingIters / len(train_images)))
    for epoch in range(1, epochs + 1):
        network.partial_fit(train_images, train_labels, classes=DIGITS)
        accuracy = network.score(test_images, test_labels)
        print(f"epoch {epoch}/{epochs}: loss {network.loss_:.4f}, test accuracy {accuracy:.4f}", flush=True)
        record(epoch, {"loss": float(network.loss_), "accuracy": float(accuracy)})

    save(network, accuracy)
    print(f"test accuracy: {accuracy:.4f}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("trainImagesFile", "trainLabelsFile", "testImagesFile", "testLabelsFile"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--learningRate", type=float, default=0.001)
    parser.add_argument("--trainingIters", type=int, default=40_000, help="how many images the network is shown in all")
    return parser.parse_args()


def pixels(path: Path) -> np.ndarray:
    """Read images as rows of numbers from 0 to 1."""
    images = read_idx(path)
    return images.reshape(len(images), -1) / 255


def record(epoch: int, values: dict[str, float]) -> None:
    """Append the values to the run's metrics: one JSON object a line, in the folder that SUBID names."""
    folder = Path(os.environ.get("LOG_DIR", "."), os.environ.get("SUBID", "."))
    folder.mkdir(parents=True, exist_ok=True)
    now = time.time()
    row = {
        "meta": {
            "training_id": os.environ.get("TRAINING_ID", ""),
            "time": now,
            "rindex": epoch,
            "subid": os.environ.get("SUBID", ""),
        },
        "grouplabel": "test",
        "etimes": {
            "iteration": {"type": "INT", "value": epoch},
            "time_stamp": {"type": "STRING", "value": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))},
        },
        "values": {name: {"type": "FLOAT", "value": value} for name, value in values.items()},
    }
    with open(folder / "evaluation-metrics.txt", "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def save(network: MLPClassifier, accuracy: float) -> None:
    folder = Path(os.environ.get("RESULT_DIR", "."), "model")
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(network, folder / "digits.joblib")
    (folder / "accuracy.json").write_text(json.dumps({"test_accuracy": float(accuracy)}) + "\n")
    print(f"model saved as {folder / 'digits.joblib'}")


if __name__ == "__main__":
    # The matrices are so small that more threads would only wait for one another.
    with threadpool_limits(1):
        main()
