"""A withheld text is found however it is written."""

import base64
import json
from pathlib import Path

import pytest

from launcher.redact.search import found_in, telling_texts
from launcher.spec.sample import Sample

NAMED = "Patient Müller/4711 \U0001f600"


WRITTEN = {
    "as it is": NAMED.encode(),
    "in lower case": b"of Patient m\xc3\xbcller/4711 \xf0\x9f\x98\x80".lower(),
    "in UTF-16": NAMED.encode("utf-16"),
    "in UTF-16, big-endian": NAMED.encode("utf-16-be"),
    "in JSON": json.dumps(NAMED).encode(),
    "in JSON, each character escaped": "".join(f"\\u{ord(letter):04X}" for letter in NAMED[:-1]).encode()
    + rb"\uD83D\uDE00",
    "in an address": b"?id=Patient%20M%C3%BCller%2f4711%20%f0%9f%98%80",
    "in hexadecimal": NAMED.encode().hex().upper().encode(),
    "in base64": base64.b64encode(b"xy" + NAMED.encode()),
    "in base64 for addresses": base64.urlsafe_b64encode(b"x" + NAMED.encode()),
    "as a name of a file": b"artifacts/0/patient_m_ller_4711.png",
}


@pytest.mark.parametrize("way", WRITTEN)
def test_a_withheld_text_is_found_however_it_is_written(tmp_path: Path, way: str) -> None:
    texts = telling_texts([Sample(NAMED, prediction="right")], [Sample("another", prediction="wrong")])
    (tmp_path / "clean").write_bytes(b"nothing of it: Patient, Mueller, right, 471")
    assert found_in(tmp_path, texts) is None
    (tmp_path / "file").write_bytes(b"\n" + WRITTEN[way] + b"\n")
    assert found_in(tmp_path, texts) == "file"
