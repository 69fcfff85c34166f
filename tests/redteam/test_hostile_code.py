"""Commits made to fill a machine or to pass for other files."""

import os
from pathlib import Path

import pytest

from launcher.errors import MalformedError
from launcher.sources import code as sources
from tests.sources.test_code import commit, fetch, git, repository

__all__ = ["repository"]


def test_a_huge_file_is_refused_before_it_is_in_memory(repository: Path, tmp_path: Path) -> None:
    (repository / "zeros").touch()
    os.truncate(repository / "zeros", (256 << 20) + 1)
    with pytest.raises(MalformedError) as caught:
        fetch(repository, commit(repository), tmp_path / "cache")
    assert "`zeros` is larger" in str(caught.value.context)


def test_files_come_out_the_same_however_they_are_batched(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "empty").touch()
    whole = fetch(repository, commit(repository), tmp_path / "whole")
    monkeypatch.setattr(sources, "_LARGEST_FILE", 20)
    assert fetch(repository, git(repository, "rev-parse", "HEAD"), tmp_path / "parts").pins == whole.pins


def test_a_name_that_could_pass_for_two_files_is_refused(repository: Path, tmp_path: Path) -> None:
    """One file of this name has the digest of two files: the lock's own digest of the tree has lines."""
    (repository / f"a\n100644 {'0' * 64}  b").touch()
    with pytest.raises(MalformedError):
        fetch(repository, commit(repository), tmp_path / "cache")
