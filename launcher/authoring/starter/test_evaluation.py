"""The program's own test: `python3 -m unittest` needs neither a container nor evalctl."""

import json
import tempfile
import unittest
from pathlib import Path

from evaluation import classify
from evaluation.__main__ import run

HERE = Path(__file__).parent


class EvaluationTest(unittest.TestCase):
    """What the program promises."""

    def test_words_decide(self) -> None:
        """Praise is positive, complaint negative, and a tie is what the blueprint says."""
        self.assertEqual(classify("A great book, I loved it.", "negative"), "positive")
        self.assertEqual(classify("It broke at once.", "positive"), "negative")
        self.assertEqual(classify("It is a book.", "negative"), "negative")

    def test_every_review_gets_a_prediction(self) -> None:
        """One sample for each line, under the line's own id."""
        reviews = HERE / "data" / "reviews.jsonl"
        with tempfile.TemporaryDirectory() as folder:
            config, samples = Path(folder, "config.json"), Path(folder, "samples.jsonl")
            config.write_text(json.dumps({"config": {"undecided": "negative"}, "seed": 0, "replicate": 0}))
            run(reviews, config, samples)
            written = [json.loads(line) for line in samples.read_text().splitlines()]
        ids = [json.loads(line)["id"] for line in reviews.read_text().splitlines()]
        self.assertEqual([sample["id"] for sample in written], ids)


if __name__ == "__main__":
    unittest.main()
