"""Fuzz the readers with atheris: python -m tests.fuzz.run [SECONDS] [TARGET...].

Each target runs for so many seconds (60 by default) in a process of its own; what breaks it is left in
build/fuzz/TARGET/. Keep such a file in tests/fuzz/seeds/TARGET/ once it is mended: tests try it for ever.
"""

import subprocess
import sys
from pathlib import Path

_BUILD = Path("build/fuzz")
_LONGEST_INPUT = 1 << 16
_SECONDS_FOR_ONE = 20


def main(arguments: list[str]) -> int:
    """Fuzz every target that is named, all by default; return 1 if one broke."""
    if arguments[:1] == ["--one"]:
        return _fuzz(arguments[1], arguments[2])
    from tests.fuzz.targets import TARGETS

    seconds, targets = (arguments or ["60"])[0], arguments[1:] or [*TARGETS]
    broken = []
    for target in targets:
        print(f"fuzzing {target} for {seconds} s", flush=True)
        command = [sys.executable, "-m", "tests.fuzz.run", "--one", target, seconds]
        if subprocess.run(command, check=False).returncode:
            broken.append(target)
    print(f"broken: {', '.join(broken)}" if broken else f"{len(targets)} targets, none broken")
    return 1 if broken else 0


def _fuzz(target: str, seconds: str) -> int:
    import atheris

    with atheris.instrument_imports(include=["launcher"]):
        from tests.fuzz.seeds import seeds
        from tests.fuzz.targets import attempt

    found, broken = _BUILD / target / "corpus", _BUILD / target / "broken"
    found.mkdir(parents=True, exist_ok=True)
    broken.mkdir(exist_ok=True)
    for number, data in enumerate(seeds(target)):
        (found / f"seed-{number}").write_bytes(data)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST_INPUT}",
        f"-timeout={_SECONDS_FOR_ONE}",
        f"-artifact_prefix={broken}/",
        "-rss_limit_mb=1024",
        "-verbosity=0",
        "-print_final_stats=1",
        str(found),
    ]
    atheris.Setup(["fuzz", *options], lambda data: attempt(target, data))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
