"""A Dockerfile is built by BuildKit with exact arguments; whatever it fetches must be named by digest.

No package that this project may install ships buildx, so a fake `docker` on the PATH stands for it here: it
notes its arguments and writes a layout of the build context. The real one is asked where there is one.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.cli.app import run
from launcher.errors import MalformedError
from launcher.image.dockerfile import instructions, refuse_unpinned, source_time

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "a" * 64
BASE = f"example.org/base@{DIGEST}"
FAKE = f"""#!{sys.executable}
import json, os, sys, tarfile, io
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.image.makers import make_layout
log, mode = Path({{log!r}}), {{mode!r}}
arguments = sys.argv[1:]
with log.open("a") as stream:
    stream.write(json.dumps(arguments) + "\\n")
if arguments[:2] == ["buildx", "version"]:
    if mode == "absent":
        print("docker: 'buildx' is not a docker command.", file=sys.stderr)
        sys.exit(1)
    print("github.com/docker/buildx v0.14.0 171fcbe")
    sys.exit()
print("#1 [internal] load build definition", file=sys.stderr)
if mode == "driver":
    print("ERROR: OCI exporter is not supported for the docker driver.", file=sys.stderr)
    sys.exit(1)
if mode == "fails":
    print("ERROR: process \\"/bin/sh -c false\\" did not complete successfully", file=sys.stderr)
    sys.exit(1)
context = Path(arguments[-1])
raw = io.BytesIO()
with tarfile.open(fileobj=raw, mode="w") as archive:
    for path in sorted(context.rglob("*")):
        member = archive.gettarinfo(path, str(path.relative_to(context)))
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        archive.addfile(member, path.open("rb") if member.isreg() else None)
output = dict(part.split("=", 1) for part in arguments[arguments.index("--output") + 1].split(","))
created = os.urandom(4).hex() if mode == "draws" else "x"
make_layout(Path(output["dest"]), layers=[raw.getvalue()], created=created)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "home"))
    (tmp_path / "image/src").mkdir(parents=True)
    (tmp_path / "image/Dockerfile").write_text(f"FROM {BASE}\nCOPY src /src\n")
    (tmp_path / "image/src/run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "image/src/run.sh").chmod(0o700)
    return tmp_path / "image"


def docker(folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str = "works") -> Path:
    """Put a fake `docker` first on the PATH; return the file that notes its arguments."""
    place = folder.parent / "bin"
    place.mkdir()
    log = folder.parent / "log"
    (place / "docker").write_text(FAKE.replace("{log!r}", repr(str(log))).replace("{mode!r}", repr(mode)))
    (place / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return log


def test_buildkit_is_asked_for_an_image_without_times_or_network(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = docker(folder, monkeypatch)
    assert run(["image", "build", str(folder), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    asked = [json.loads(line) for line in log.read_text().splitlines()][-1]
    context, staging = asked[-1], f"{folder}/.layout.building"
    output = "type=oci,dest=%s/layout,tar=false,rewrite-timestamp=true,compression=uncompressed"
    assert asked == [
        "buildx", "build", "--progress", "plain", "--build-arg", "SOURCE_DATE_EPOCH=1767225600",
        "--provenance=false", "--sbom=false", "--file", f"{context}/Dockerfile",
        "--output", output % staging + ",force-compression=true,oci-mediatypes=true",
        "--platform", "linux/amd64", "--network", "none", context,
    ]  # fmt: skip
    assert run(["image", "inspect", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == answer["digest"]
    assert not Path(staging).exists()


def test_the_network_and_the_time_are_the_users_to_choose(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "Dockerfile").write_text(f"FROM {BASE}\nARG SOURCE_DATE_EPOCH=1700000000\n")
    log = docker(folder, monkeypatch)
    assert run(["image", "build", str(folder), "--network"]) == 0
    asked = [json.loads(line) for line in log.read_text().splitlines()][-1]
    assert asked[asked.index("--network") + 1] == "default"
    assert "SOURCE_DATE_EPOCH=1700000000" in asked


def test_modes_times_and_earlier_layouts_of_this_machine_stay_out_of_the_context(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docker(folder, monkeypatch)
    digests = []
    for mode in (0o700, 0o755):
        (folder / "src/run.sh").chmod(mode)
        assert run(["image", "build", str(folder), "--json"]) == 0
        digests.append(json.loads(capsys.readouterr().out)["digest"])
    assert digests[0] == digests[1]


def test_check_builds_a_dockerfile_twice_without_buildkits_cache(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = docker(folder, monkeypatch)
    assert run(["image", "check", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"]
    builds = [words for line in log.read_text().splitlines() if (words := json.loads(line))[1] == "build"]
    assert ["--no-cache" in words for words in builds] == [True, True]


def test_a_dockerfile_that_draws_something_is_found_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docker(folder, monkeypatch, "draws")
    assert run(["image", "check", str(folder)]) == 1
    captured = capsys.readouterr()
    assert "differs   configuration: created: " in captured.out
    assert "#1 [internal] load build definition" in captured.err


@pytest.mark.parametrize(
    ("mode", "status", "code", "hint"),
    [
        ("absent", 6, "buildkit-unavailable", "docker-buildx-plugin"),
        ("driver", 6, "buildkit-unavailable", "--driver docker-container"),
        ("fails", 1, "build-command-failed", "--network"),
    ],
)
def test_what_fails_says_what_to_do(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mode: str,
    status: int,
    code: str,
    hint: str,
) -> None:
    docker(folder, monkeypatch, mode)
    assert run(["image", "build", str(folder), "--json"]) == status
    error = json.loads(capsys.readouterr().err.splitlines()[-1])["error"]
    assert error["code"] == code
    assert hint in error["hint"]
    assert sorted(path.name for path in folder.iterdir()) == ["Dockerfile", "src"]


def test_without_docker_a_dockerfile_is_a_requirement_not_met(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert run(["image", "build", str(folder)]) == 6
    assert "there is no `docker` on the PATH" in capsys.readouterr().err


def has_oci_exporter() -> bool:
    """Say whether a buildx is here whose builder is not the engine's own."""
    if shutil.which("docker") is None:
        return False
    command = ["docker", "buildx", "inspect"]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    driver = re.search(r"(?m)^Driver:\s*(\S+)", asked.stdout)
    return asked.returncode == 0 and driver is not None and driver[1] != "docker"


@pytest.mark.engine
@pytest.mark.slow
def test_a_real_buildkit_gives_the_same_bytes_twice(folder: Path) -> None:
    if not has_oci_exporter():
        pytest.skip("this machine has no buildx with a docker-container builder: no package ships one here")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY src /src\n")
    assert run(["image", "check", str(folder)]) == 0


GOOD = f"""# syntax=docker/dockerfile@{DIGEST}
# a remark
ARG SOURCE_DATE_EPOCH=1700000000
FROM --platform=linux/amd64 {BASE} AS build
RUN --mount=type=cache,target=/x \\
    # FROM evil:latest
    make && \\
    make install
RUN <<EOF
FROM evil:latest
EOF
COPY --from=build /x /x
ADD --checksum={DIGEST} https://example.org/x.tar /x
ADD https://example.org/x.git#{"b" * 40} /src
FROM scratch
COPY --from=0 /x /x
COPY --from={BASE} /y /y
RUN --mount=type=bind,from=build,target=/b true
FROM build
"""


def test_a_dockerfile_that_names_all_by_digest_passes() -> None:
    refuse_unpinned(GOOD, "Dockerfile")
    assert source_time(GOOD) == 1700000000
    words = [instruction.word for instruction in instructions(GOOD)]
    assert words == ["ARG", "FROM", "RUN", "RUN", "COPY", "ADD", "ADD", "FROM", "COPY", "COPY", "RUN", "FROM"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("FROM python:3.11", "FROM: `python:3.11` is named by tag"),
        ("from python", "FROM: `python` is named by tag"),
        ("FROM \\\n  python", "FROM: `python` is named by tag"),
        ("FROM\tpython", "FROM: `python` is named by tag"),
        ("FR\\\nOM python", "FROM: `python` is named by tag"),
        ("FROM 0", "FROM: `0` is named by tag"),
        ("COPY --fr'om'=busybox /x /x", "COPY: `busybox` is named by tag"),
        ("RUN --mount=from=0,From=busybox,target=/x true", "RUN: `busybox` is named by tag"),
        ("ADD h'ttps'://example.org/x /x", "has no --checksum"),
        ("ADD $U /x", "`$U` is named by a variable"),
        ("FROM ${BASE}", "FROM: `${BASE}` is named by a variable"),
        ("FROM ${X}@" + DIGEST, "named by a variable"),
        ("FROM python@sha256:abc", "named by tag"),
        ("COPY --from=busybox /x /x", "COPY: `busybox` is named by tag"),
        ("COPY --from=1 /x /x", "COPY: `1` is named by tag"),
        ("RUN --mount=type=bind,from=busybox,target=/x true", "RUN: `busybox` is named by tag"),
        ("ADD https://example.org/x /x", "has no --checksum"),
        ("ADD https://example.org/x.git#main /x", "names no commit"),
        ("ADD git@example.org:x.git /x", "names no commit"),
        ("ONBUILD ADD https://example.org/x /x", "has no --checksum"),
    ],
)
def test_each_name_that_may_move_is_told_with_its_line(line: str, what: str) -> None:
    with pytest.raises(MalformedError) as caught:
        refuse_unpinned(f"FROM {BASE}\n{line}\n", "Dockerfile")
    (problem,) = caught.value.problems
    assert str(problem).startswith("Dockerfile:2:1: ")
    assert what in problem.message


@pytest.mark.parametrize(
    "before",
    [
        "RUN cat <<<EOF",
        "RUN cat<<EOF",
        'RUN echo "<<EOF"',
        "RUN echo ' <<EOF '",
        "RUN echo \\\\",
        "RUN <<EOF\n EOF\nRUN <<X\nEOF",
        "RUN <<EOF\nRUN <<X\nEOF",
        "RUN <<-EOF\nRUN <<X\n\tEOF",
        "RUN <<ONE cat <<TWO\nTWO\nONE\nTWO",
        "RUN <<'EOF'\nRUN \\\nEOF",
        "RUN true\x1c<<X",
        "# a remark\x0bRUN <<X",
        'RUN <<E"O"F\nRUN <<X\nEOF',
        "RUN echo \\ <<X",
    ],
)
def test_what_only_looks_like_more_of_a_command_hides_nothing(before: str) -> None:
    """As BuildKit reads it: parser.go, `ParseHeredoc` and `reContinuation`."""
    with pytest.raises(MalformedError, match="what is not named by digest"):
        refuse_unpinned(f"FROM {BASE}\n{before}\nFROM evil:latest\nEOF\nX\n", "Dockerfile")


def test_empty_lines_and_remarks_do_not_end_an_instruction() -> None:
    with pytest.raises(MalformedError) as caught:
        refuse_unpinned("FROM \\  \n\n# a remark\n  evil:latest\n", "Dockerfile")
    assert "`evil:latest`" in str(caught.value.problems[-1])


@pytest.mark.parametrize(
    "top",
    [
        "# syntax=docker/dockerfile:1",
        "# escape=`",
        "\ufeff# syntax=docker/dockerfile:1",
        "# check=skip=all\n# syntax=docker/dockerfile:1",
        "#!/usr/bin/env docker\n# syntax=docker/dockerfile:1",
        "// syntax=docker/dockerfile:1",
        '{"syntax": "docker/dockerfile:1"}',
    ],
)
def test_directives_that_cannot_be_held_to_are_refused(top: str) -> None:
    with pytest.raises(MalformedError):
        refuse_unpinned(f"{top}\nFROM {BASE}\n", "Dockerfile")


def test_a_tag_is_exit_2_before_anything_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "Dockerfile").write_text("FROM python:3.11\n")
    log = docker(folder, monkeypatch)
    assert run(["image", "build", str(folder)]) == 2
    assert f"{folder}/Dockerfile:1:1: FROM: `python:3.11`" in capsys.readouterr().err
    assert not log.exists()
