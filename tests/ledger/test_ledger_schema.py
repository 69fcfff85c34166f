"""Schema and reader of a ledger's entries accept the same, as far as a schema can say it."""

import json

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError
from launcher.ledger.entries import read_entry
from launcher.ledger.tiles import MAX_SIZE
from launcher.ledger.wire import ENTRY_TYPE
from launcher.spec import ledger_schema
from launcher.spec.schema import schema_of
from tests.ledger.test_ledger_wire import BYTES
from tests.spec.test_record_schemas import VALUES, changed, places

VALIDATOR = Draft202012Validator(schema_of("ledger-entry"))
MORE = (
    "interrupted",
    "reproduce",
    0,
    1,
    1 << 40,
    (1 << 40) - 1,
    None,
    "x" * 129,
    "2026-11-20T11:00:00Z",
    ["partial"],
)


def test_schema_and_code_name_the_same_type_and_bounds() -> None:
    assert (ledger_schema.ENTRY_TYPE, ledger_schema.MAX_SIZE) == (ENTRY_TYPE, MAX_SIZE)
    for data in BYTES:
        VALIDATOR.validate(json.loads(data))


@given(st.data())
def test_schema_and_reader_agree_on_changed_entries(data: st.DataObject) -> None:
    value = json.loads(data.draw(st.sampled_from(BYTES)))
    place = data.draw(st.sampled_from([path for path in places(value) if path]))
    how = data.draw(st.sampled_from(["replace", "remove", "add"]))
    value = changed(value, place, how, data.draw(st.sampled_from((*VALUES, *MORE))))
    hashes = value.get("data")
    if isinstance(hashes, list) and all(isinstance(each, str) for each in hashes):
        value["data"] = sorted(hashes)
    if value.get("marks") == []:
        return  # another spelling of none
    try:
        read_entry(canonical_bytes(value))
        accepted = True
    except CheckFailedError:
        accepted = False
    assert VALIDATOR.is_valid(value) == accepted, value
