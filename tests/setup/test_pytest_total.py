"""The last line of CI adds up what its runs counted, and never looks better than what happened."""

from scripts.pytest_total import total

MAIN = "...\n=========== 812 passed, 3 skipped, 9 deselected, 1 warning in 301.50s (0:05:01) ===========\n"
HARNESS = "====== 8 passed, 815 deselected in 95.25s (0:01:35) ======\n"
FAILED = (
    "=== short test summary info ===\n== 1 failed, 7 passed, 2 errors in 1.00s ==\nmake: *** [x] Error 1\n"
)


def test_counts_and_seconds_are_added_but_not_what_the_other_run_runs() -> None:
    line = total([MAIN, HARNESS], failed=False)
    assert line == "===== 820 passed, 3 skipped, 1 warnings in 396.75s ====="


def test_failures_come_first() -> None:
    assert total([MAIN, FAILED], failed=True).startswith("===== 1 failed, 2 errors, 819 passed, 3 skipped")


def test_only_the_last_summary_of_a_log_counts() -> None:
    assert total([FAILED + HARNESS], failed=False) == "===== 8 passed in 95.25s ====="


def test_a_run_that_never_got_to_its_tests_is_an_error() -> None:
    assert total([MAIN, "make: *** [harness] Error 1\n"], failed=True).startswith(
        "===== 1 errors, 812 passed"
    )
    assert total(["", ""], failed=True) == "===== 2 errors in 0.00s ====="


def test_a_failure_that_no_summary_counts_is_an_error() -> None:
    assert total([MAIN, HARNESS], failed=True).startswith("===== 1 errors, 820 passed")
