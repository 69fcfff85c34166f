"""Make the model and the data of this blueprint: `svm.onnx`, `images.jsonl` and `labels.jsonl`.

The recipe is scikit-learn's gallery example "Recognizing hand-written digits": an `SVC(gamma=0.001)`
learns the first half of the digits, unshuffled; the second half (899 images) is the test set. README.md
says how to run this.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn import datasets, model_selection, svm

OPSET = 15


def main() -> int:
    """Write the three files into `--out`, or compare them with those there (`--check`)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    arguments = parser.parse_args()
    changed = False
    for name, content in made_files().items():
        path = arguments.out / name
        same = path.is_file() and path.read_bytes() == content
        if not same and not arguments.check:
            path.write_bytes(content)
        changed |= not same
        print(f"{name}: {'the same bytes' if same else 'DIFFERS' if arguments.check else 'written'}")
    return int(arguments.check and changed)


def made_files() -> Mapping[str, bytes]:
    """Return the bytes of each file by its name."""
    digits = datasets.load_digits()
    images_train, images_test, labels_train, labels_test = model_selection.train_test_split(
        digits.images, digits.target, test_size=0.5, shuffle=False
    )
    ids = [f"test-{index:04}" for index in range(len(images_test))]
    return {
        "svm.onnx": trained_model(images_train, labels_train),
        "images.jsonl": json_lines(
            {"id": identity, "pixels": image.astype(int).tolist()}
            for identity, image in zip(ids, images_test, strict=True)
        ),
        "labels.jsonl": json_lines(
            {"id": identity, "target": int(label)} for identity, label in zip(ids, labels_test, strict=True)
        ),
    }


def trained_model(images: numpy.ndarray, labels: numpy.ndarray) -> bytes:
    """Fit the gallery's classifier to `images` (n x 8 x 8, values 0..16); return it as ONNX bytes."""
    classifier = svm.SVC(gamma=0.001).fit(images.reshape(len(images), -1), labels)
    model = convert_sklearn(
        classifier,
        name="digits-svm",  # the default is a random name
        initial_types=[("pixels", FloatTensorType([None, 64]))],
        target_opset=OPSET,
        options={id(classifier): {"zipmap": False}},
    )
    return model.SerializeToString(deterministic=True)


def json_lines(records: Iterable[Mapping[str, object]]) -> bytes:
    """Return one compact JSON object a line."""
    return "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records).encode()


if __name__ == "__main__":
    sys.exit(main())
