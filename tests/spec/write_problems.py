"""Write the problems of every bad blueprint beside it; review the difference before you commit it."""

from test_blueprint_corpus import BAD, problems_text

from tests.spec.conftest import known_definitions

if __name__ == "__main__":
    for path in BAD:
        text = problems_text(path, known_definitions())
        path.with_suffix(".txt").write_text(text, encoding="utf-8")
