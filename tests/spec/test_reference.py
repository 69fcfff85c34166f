from tests.spec.write_reference import PAGE, blueprint_reference


def test_the_committed_field_reference_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == blueprint_reference()
