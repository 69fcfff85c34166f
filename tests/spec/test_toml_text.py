import tomllib

from hypothesis import given
from hypothesis import strategies as st

from launcher.spec.toml_text import toml_value

WRITABLE = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.one_of(WRITABLE, st.integers(-(2**53), 2**53), st.lists(WRITABLE)))
def test_what_is_written_as_toml_reads_back_as_what_was_meant(value: object) -> None:
    assert tomllib.loads(f"value = {toml_value(value)}") == {"value": value}
