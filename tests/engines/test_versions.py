"""Which version of the interface is spoken, from what engines of several years answer."""

from typing import Any

import pytest

from launcher.engines.docker_client import NEWEST_API, OLDEST_API, _api_version
from launcher.errors import RequirementError

# Name, ApiVersion and MinAPIVersion as the engines' `/version` has them.
ANSWERS = {
    "Docker 20.10": ("1.41", "1.12", OLDEST_API),
    "Docker 24": ("1.43", "1.12", (1, 43)),
    "Docker 25": ("1.44", "1.24", NEWEST_API),
    "Docker 28": ("1.51", "1.24", NEWEST_API),
    "Docker 29": ("1.52", "1.44", NEWEST_API),
    "Podman 4.3": ("1.41", "1.24", OLDEST_API),
    "Podman 5": ("1.41", "1.24", OLDEST_API),
}
TOO_FAR = {"Docker 19.03": ("1.40", "1.12"), "one of later": ("1.80", "1.60"), "no engine": ("", "")}


def said(newest: str, oldest: str) -> dict[str, Any]:
    return {"ApiVersion": newest, "MinAPIVersion": oldest}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_newest_version_that_both_sides_speak_is_spoken(name: str) -> None:
    newest, oldest, wanted = ANSWERS[name]
    assert _api_version(said(newest, oldest)) == wanted


@pytest.mark.parametrize("name", TOO_FAR)
def test_an_engine_that_is_too_old_or_too_new_is_a_requirement(name: str) -> None:
    with pytest.raises(RequirementError) as caught:
        _api_version(said(*TOO_FAR[name]))
    assert caught.value.code == "engine-version"
