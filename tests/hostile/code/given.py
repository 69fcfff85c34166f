"""What the launcher hands over."""

import json

with open("/eval/config.json", encoding="utf-8") as _file:
    GIVEN = json.load(_file)
CONFIG = GIVEN["config"]
