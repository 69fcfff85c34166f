"""Make `train.jsonl` and `test.jsonl`: synopses of Debian packages and the archive sections they are in.

The rows come from Debian 12.15's own list of the packages in `main`, as apt keeps it. The list is checked
against the SHA-256 in `InRelease`, and `InRelease` against Debian's archive keys. README.md says how to run
this.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

APT_HELPER = "/usr/lib/apt/apt-helper"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIST = "main/binary-amd64/Packages"
PACKAGES_SHA256 = "515e692f2c4121c6fcec444ef100cc18f79a991910615f3a88c8b7becfc94d2f"  # Debian 12.15
SECTIONS = ("admin", "fonts", "games", "graphics", "net", "science", "sound", "text")
TEST, TRAIN = 50, 300  # rows a section


def main() -> int:
    """Write both files into `--out`, or compare them with those there (`--check`)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    arguments = parser.parse_args()
    changed = False
    for name, content in made_files(signed_packages()).items():
        path = arguments.out / name
        same = path.is_file() and path.read_bytes() == content
        if not same and not arguments.check:
            path.write_bytes(content)
        changed |= not same
        print(f"{name}: {'the same bytes' if same else 'DIFFERS' if arguments.check else 'written'}")
    return int(arguments.check and changed)


def signed_packages() -> str:
    """Return apt's list of bookworm main, after the whole chain from Debian's keys held."""
    conditions = ["Codename: bookworm", "Component: main", "Created-By: Packages"]
    (listed,) = output("apt-get", "indextargets", "--format", "$(FILENAME)", *conditions).decode().split()
    data = output(APT_HELPER, "cat-file", listed)
    digest = hashlib.sha256(data).hexdigest()
    release = Path(listed.partition("_main_")[0] + "_InRelease")
    signed = output("gpgv", "--quiet", "--keyring", KEYRING, "--output", "-", str(release)).decode()
    if f" {digest} {len(data)} {LIST}\n" not in signed:
        raise SystemExit(
            f"`{release.name}` does not name the sha256 {digest} for {LIST}; run: apt-get update"
        )
    if digest != PACKAGES_SHA256:
        raise SystemExit(f"apt has another list: expected sha256 {PACKAGES_SHA256}, got {digest}")
    return data.decode()


def made_files(packages: str) -> Mapping[str, bytes]:
    """Return the bytes of each file by its name."""
    test, train, taken = [], [], Counter[str]()
    for row in distinct_rows(packages):
        place = taken[row["section"]]
        taken[row["section"]] += 1
        if place < TEST:
            test.append(row)
        elif place < TEST + TRAIN:
            train.append(row)
    return {"train.jsonl": json_lines(train), "test.jsonl": json_lines(test)}


def distinct_rows(packages: str) -> Iterator[Mapping[str, str]]:
    """Yield one package of each source and of each synopsis, in an order that only their names decide.

    Packages of one source describe themselves in nearly the same words: two of them must not stand on both
    sides of the split.
    """
    paragraphs = (dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", part, re.M)) for part in packages.split("\n\n"))
    wanted = [fields for fields in paragraphs if fields.get("Section") in SECTIONS]
    seen: set[str] = set()
    for fields in sorted(wanted, key=lambda fields: hashlib.sha256(fields["Package"].encode()).digest()):
        source = "source " + fields.get("Source", fields["Package"]).split()[0]
        synopsis = " ".join(fields["Description"].split())
        if seen.isdisjoint({source, synopsis.lower()}):
            seen |= {source, synopsis.lower()}
            yield {"id": fields["Package"], "synopsis": synopsis, "section": fields["Section"]}


def json_lines(rows: Iterable[Mapping[str, str]]) -> bytes:
    """Return one compact JSON object a line, sorted by id."""
    ordered = sorted(rows, key=lambda row: row["id"])
    return "".join(
        json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in ordered
    ).encode()


def output(*command: str) -> bytes:
    """Run `command`; return what it printed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    sys.exit(main())
