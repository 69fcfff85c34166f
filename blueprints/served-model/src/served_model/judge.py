"""The judge: says how well an answer meets its target. A language model would stand here in earnest."""

from typing import Any

from served_model.http import serve


def grade(asked: Any) -> Any:
    """Return 1 for the class itself, and 0 for another."""
    return {"score": 1.0 if asked["prediction"] == asked["target"] else 0.0}


if __name__ == "__main__":
    serve(8001, grade)
