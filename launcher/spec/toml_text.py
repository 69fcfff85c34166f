"""Write values as TOML: text that reads back as what was meant."""

import json
from typing import Any


def toml_value(value: Any) -> str:
    """Return text, a whole number, or a list of them as TOML: JSON's are, save for the delete character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
