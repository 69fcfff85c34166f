"""Write a recipe's locks anew from the names that its recipe.toml wants.

`packages.lock` and `wheels.lock` always, `build-packages.lock` where there is a `[build]`.

Usage: python images/relock.py images/NAME

Asks this machine's own apt lists (run `apt-get update` before) and its own pip. Debian packages come from the
component main of the one suite the recipe names, never from its updates or security suites. What
`wheels.without` names stays out of the image, with whatever it alone would have needed.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

APT_HELPER = "/usr/lib/apt/apt-helper"


def main() -> None:
    """Rewrite the locks of the folder named on the command line."""
    folder = Path(sys.argv[1])
    recipe = tomllib.loads((folder / "recipe.toml").read_text())
    (folder / "packages.lock").write_text(packages_lock(recipe["packages"]))
    if "build" in recipe:
        (folder / "build-packages.lock").write_text(packages_lock(recipe["build"]))
    (folder / "wheels.lock").write_text(wheels_lock(recipe["wheels"], recipe["python"]["version"]))


def packages_lock(wanted: dict) -> str:
    """Return the lock of the Debian packages in `wanted`."""
    available = suite_packages(wanted["suite"])
    rows = []
    for name in sorted(wanted["names"]):
        if name not in available:
            raise SystemExit(f"`{name}` is not in {wanted['suite']} main")
        fields = available[name]
        rows.append(
            {
                "name": name,
                "version": fields["Version"],
                "architecture": fields["Architecture"],
                "sha256": fields["SHA256"],
                "size": int(fields["Size"]),
                "file": fields["Filename"],
            }
        )
    return render("package", rows)


def suite_packages(suite: str) -> dict[str, dict[str, str]]:
    """Return the fields of each package in the component main of `suite`, from apt's own lists."""
    conditions = [f"Codename: {suite}", "Component: main", "Created-By: Packages"]
    listed = output("apt-get", "indextargets", "--format", "$(FILENAME)", *conditions).split()
    if len(listed) != 1:
        raise SystemExit(f"apt knows {len(listed)} lists of {suite} main, not 1; run: apt-get update")
    text = output(APT_HELPER, "cat-file", listed[0])
    paragraphs = (dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", part, re.M)) for part in text.split("\n\n"))
    return {fields["Package"]: fields for fields in paragraphs if fields}


def wheels_lock(wanted: dict, python: str) -> str:
    """Return the lock of the wheels in `wanted` and of what they need, but for those `without`."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as places:
        stand_ins = {write_stand_in(name, Path(places)) for name in wanted.get("without", ())}
        tags = [argument for tag in wanted["tags"] for argument in ("--platform", tag)]
        abis = [
            argument
            for abi in ("cp" + python.replace(".", ""), "abi3", "none")
            for argument in ("--abi", abi)
        ]
        versions = ["--python-version", python, "--implementation", "cp", "--only-binary", ":all:"]
        pip = [sys.executable, "-m", "pip", "download", "-q", "-d", folder, "--find-links", places]
        output(*pip, *versions, *abis, *tags, *wanted["requirements"])
        found = [path for path in Path(folder).iterdir() if path.name not in stand_ins]
        rows = [wheel_row(path) for path in sorted(found, key=lambda path: path.name.lower())]
    return render("wheel", rows)


def write_stand_in(name: str, folder: Path) -> str:
    """Write an empty wheel that pip prefers to every real one called `name`; return its file name.

    pip knows no other way to resolve requirements without one of them.
    """
    place = f"{name.replace('-', '_')}-99999"
    members = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 99999\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: relock\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{place}-py3-none-any.whl", "w") as wheel:
        for member, text in members.items():
            wheel.writestr(f"{place}.dist-info/{member}", text)
    return f"{place}-py3-none-any.whl"


def wheel_row(path: Path) -> dict[str, str | int]:
    """Return the lock's row of one wheel file."""
    name, version = path.name.split("-")[:2]
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    name = name.replace("_", "-").lower()
    return {"name": name, "version": version, "sha256": digest, "size": len(data), "file": path.name}


def render(kind: str, rows: list[dict[str, str | int]]) -> str:
    """Return `rows` as TOML."""
    lines = ["# Written by images/relock.py; every file is checked against its sha256 before it is opened."]
    for row in rows:
        lines += ["", f"[[{kind}]]"]
        lines += [
            f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"'
            for key, value in row.items()
        ]
    return "\n".join(lines) + "\n"


def output(*command: str) -> str:
    """Run `command`; return what it printed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
