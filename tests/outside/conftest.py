"""Bundles for the tests of the stand-alone verifier."""

from pathlib import Path

import pytest

from tests.bundles.case import write_files
from tests.bundles.honest import launched
from tests.bundles.keys import ALICE
from tests.outside.one_file import RUN


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_files(folder, launched(RUN))
    return folder


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pub"
    path.write_text(ALICE.public.openssh + "\n")
    return path


@pytest.fixture(scope="module")
def sealed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sealed") / "bundle"
    folder.mkdir()
    write_files(folder, launched(RUN))
    return folder
