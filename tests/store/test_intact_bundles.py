"""A bundle in the store is whole where each listed file has its bytes; nothing outside is looked at."""

from pathlib import Path

from launcher.digest import sha256_hex
from launcher.store.bundles import is_intact


def stored(store: Path, path: str, data: bytes) -> Path:
    sums = f"{sha256_hex(data)}  {path}\n".encode()
    folder = store / sha256_hex(sums)
    folder.mkdir()
    (folder / "SHA256SUMS").write_bytes(sums)
    return folder


def test_a_bundle_with_its_bytes_is_whole_and_with_others_is_not(tmp_path: Path) -> None:
    folder = stored(tmp_path, "result.json", b"{}")
    assert not is_intact(folder)
    (folder / "result.json").write_bytes(b"{}")
    assert is_intact(folder)
    (folder / "result.json").write_bytes(b"[]")
    assert not is_intact(folder)


def test_a_listing_that_names_files_elsewhere_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "secret"
    elsewhere.write_bytes(b"secret")
    for path in (str(elsewhere), "../secret"):
        assert not is_intact(stored(tmp_path, path, b"secret"))
