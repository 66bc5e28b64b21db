"""Write scikit-learn's handwritten digits as the four idx files that the manifest names; nothing is downloaded.

python make_data.py FOLDER
"""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

UNSIGNED_BYTE = 8


def main(folder: Path) -> None:
    """Write the files into the folder; two calls write the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = load_digits(return_X_y=True)
    # The digits come as 8 x 8 values from 0 to 16, while idx files hold bytes.
    images = np.rint(images * (255 / 16)).reshape(-1, 8, 8)
    parts = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=0)
    train_images, test_images, train_labels, test_labels = parts
    for name, array in (
        ("train-images-idx3-ubyte.gz", train_images),
        ("train-labels-idx1-ubyte.gz", train_labels),
        ("t10k-images-idx3-ubyte.gz", test_images),
        ("t10k-labels-idx1-ubyte.gz", test_labels),
    ):
        # Without a time in it, so that a bucket filled again is not a new version of the dataset.
        (folder / name).write_bytes(gzip.compress(idx(array), mtime=0))
        print(f"{folder / name}: {' x '.join(map(str, array.shape))}")


def idx(array: np.ndarray) -> bytes:
    """Write an array as idx: two zero bytes, the type, the number of dimensions, each dimension, the values."""
    head = struct.pack(f">HBB{array.ndim}I", 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
