"""The stand-alone verifier judges lies that a trusted key signed as `verify` does, in each kind of record."""

from pathlib import Path
from random import Random

import pytest

from launcher.errors import CheckFailedError, MalformedError
from launcher.trust.policy import single_key_policy
from tests.outside.differences import KINDS, LINES, lie
from tests.outside.one_file import LIGHT, own_code, told

HONEST = [
    case
    for case in LIGHT
    if not case.exit_code and case.trust.key is not None and "thousand" not in case.name
]


@pytest.mark.parametrize("kind", KINDS)
def test_lies_signed_with_the_trusted_key_are_judged_alike(tmp_path: Path, kind: str) -> None:
    chance, judged = Random(kind), 0
    having = [case for case in HONEST if case.name == "honest-records_ok" or case.base().get(kind)]
    for attempt in range(12):
        case = chance.choice(having if kind in LINES else HONEST)
        folder = tmp_path / str(attempt)
        bundle, signer = case.build(folder), case.trust.key
        assert signer is not None
        try:
            changed = lie(bundle, kind, signer, chance)
        except (MalformedError, CheckFailedError):  # a float or a lone surrogate is never sealed
            continue
        answer = told(bundle, "--key", folder / "key.pub")
        assert answer.code == own_code(bundle, single_key_policy(signer.public)), (case.name, changed, answer)
        judged += changed is not None
    assert judged
