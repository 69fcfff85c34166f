"""Notes, checkpoints, proofs, entries: read in one spelling, and nothing but our error for other bytes."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import CheckFailedError, EvalctlError, MalformedError
from launcher.ledger.checkpoint import check_signature, ledger_key, read_checkpoint, witness_key
from launcher.ledger.entries import read_entry
from launcher.ledger.proof import read_proof
from launcher.trust.notes import NoteKey, read_note, read_note_key, seen_at, sign_note, signed_by
from tests.ledger.logs import ATTEMPT, SIGNER, book_at, outcome_of
from tests.trust.sealed_bundle import ed25519_signer

DOCUMENT = Path(__file__).parents[2] / "docs" / "predicates" / "ledger-entry.md"


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    book = book_at(tmp_path_factory.mktemp("home"))
    for _ in range(5):
        book.record(ATTEMPT)
    (made, *_) = book.close(lambda entry: outcome_of(ATTEMPT, entry.index) if not entry.index else None)
    return made.data


def test_a_log_and_a_witness_sign_differently() -> None:
    body = "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    log, watcher = ledger_key(SIGNER.public), witness_key(SIGNER.public)
    assert log.key_id != watcher.key_id
    note = read_note(
        "".join(
            [body, "\n", sign_note(body, log, SIGNER).line, sign_note(body, watcher, SIGNER, 99).line]
        ).encode()
    )
    assert signed_by(note, log)
    assert signed_by(note, watcher)
    assert seen_at(note, watcher) == 99
    stranger = witness_key(ed25519_signer(9).public)
    assert not signed_by(note, stranger)
    forged = NoteKey(watcher.name, watcher.public, log.kind)
    with pytest.raises(CheckFailedError):
        signed_by(
            read_note(note.text.replace(body.split("\n", maxsplit=1)[0], "example.com/fog").encode()), log
        )
    assert not signed_by(note, forged)


def test_note_keys_have_one_spelling() -> None:
    key = witness_key(SIGNER.public)
    assert read_note_key(key.text) == key
    for text in ("", "a+b", key.text[:-2], key.text + "=", key.text.replace("+", "+0", 1), " " + key.text):
        with pytest.raises(MalformedError):
            read_note_key(text)


@pytest.mark.parametrize("read", [read_note, read_checkpoint, read_proof, read_entry])
@given(data=st.binary(max_size=200))
def test_other_bytes_give_our_error_alone(read: object, data: bytes) -> None:
    with pytest.raises(CheckFailedError):
        read(data)  # type: ignore[operator]


@given(st.text(max_size=80))
def test_other_keys_give_our_error_alone(text: str) -> None:
    try:
        assert read_note_key(text).text == text
    except MalformedError:
        return


@given(st.data())
def test_a_proof_with_any_byte_changed_is_refused(proof: bytes, data: st.DataObject) -> None:
    at, flip = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(1, 255))
    changed = proof[:at] + bytes([proof[at] ^ flip]) + proof[at + 1 :]
    with pytest.raises(EvalctlError) as caught:
        read = read_proof(changed).checkpoint
        check_signature(read, ledger_key_of(proof))
        pytest.fail("nobody noticed")
    assert caught.value.exit_status == 1


def ledger_key_of(proof: bytes) -> NoteKey:
    from launcher.ledger.audit import own_key

    return own_key(read_proof(proof).checkpoint)


def test_the_documented_entries_are_read() -> None:
    examples = re.findall(r"(?s)```json\n(.*?)```", DOCUMENT.read_text())
    assert len(examples) == 2
    for example in examples:
        value = parse_json(example.encode())
        assert read_entry(canonical_bytes(value)).as_json() == value
        for field in value:
            assert f"`{field}`" in DOCUMENT.read_text().partition("```json")[0] + DOCUMENT.read_text()
            with pytest.raises(CheckFailedError):
                read_entry(canonical_bytes({**value, field: 7.5}))
            if field != "marks":
                with pytest.raises(CheckFailedError):
                    read_entry(canonical_bytes({key: each for key, each in value.items() if key != field}))
