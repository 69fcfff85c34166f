"""What is said of the host is what its kernel says, as published, and tells nobody whose it is."""

import getpass
import json
import socket
import uuid
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from launcher.environment.facts import Fact
from launcher.environment.host import observe_host, runtime_facts
from launcher.environment.processor import processor_facts
from launcher.spec.schema import schema_of
from tests.fakes.world import SmallWorld

CPU = """processor\t: {number}
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz
microcode\t: 0x5003604
physical id\t: {socket}
core id\t\t: {core}
flags\t\t: fpu avx2 avx512f
"""
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\n"


def machine(root: Path, files: dict[str, str]) -> dict[str, object]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return {fact.name: fact.value for fact in processor_facts(root)}


def test_sockets_cores_and_threads_are_counted(tmp_path: Path) -> None:
    cpus = "\n".join(CPU.format(number=n, socket=n % 2, core=n // 4) for n in range(8))
    system = "sys/devices/system"
    facts = machine(
        tmp_path,
        {
            "proc/cpuinfo": cpus,
            f"{system}/node/online": "0-1\n",
            f"{system}/cpu/smt/active": "1\n",
            f"{system}/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
            f"{system}/cpu/cpu1/cpufreq/scaling_governor": "powersave\n",
            f"{system}/cpu/intel_pstate/no_turbo": "1\n",
        },
    )
    assert facts == {
        "host.cpu-model": "Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz",
        "host.cpu-vendor": "GenuineIntel",
        "host.cpu-microcode": "0x5003604",
        "host.cpu-flags": ["avx2", "avx512f", "fpu"],
        "host.virtual": False,
        "host.cpu-threads": 8,
        "host.cpu-sockets": 2,
        "host.cpu-cores": 4,
        "host.numa-nodes": 2,
        "host.smt": True,
        "host.cpu-governor": "performance, powersave",
        "host.cpu-turbo": False,
    }


def test_a_processor_of_another_architecture_says_what_it_has(tmp_path: Path) -> None:
    facts = machine(tmp_path, {"proc/cpuinfo": ARM, "sys/devices/system/cpu/cpufreq/boost": "1"})
    assert facts == {
        "host.cpu-vendor": "0x41",
        "host.cpu-flags": ["asimd", "fp", "sve"],
        "host.virtual": False,
        "host.cpu-threads": 1,
        "host.cpu-turbo": True,
    }


@pytest.mark.parametrize("text", ["", "no colon", "processor\t: 0\n", "\x00\xff", "flags\t: hypervisor"])
def test_a_kernel_that_tells_little_gives_few_facts(tmp_path: Path, text: str) -> None:
    facts = machine(tmp_path, {"proc/cpuinfo": text, "sys/devices/system/node/online": "a-b"})
    assert set(facts) <= {"host.cpu-threads"}


def test_a_machine_without_any_of_it_is_no_fault(tmp_path: Path) -> None:
    facts = {fact.name for fact in observe_host(tmp_path)}
    assert {"host.kernel", "host.memory", "launcher.version", "launcher.libraries"} <= facts
    assert not any(name.startswith("host.cpu-") for name in facts)


def test_the_launchers_own_libraries_have_the_versions_that_are_imported() -> None:
    import msgspec
    import numpy

    (libraries,) = (fact.value for fact in observe_host() if fact.name == "launcher.libraries")
    assert (libraries["numpy"], libraries["msgspec"]) == (numpy.__version__, msgspec.__version__)


def test_the_version_of_gvisor_is_told_only_where_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "runsc"
    program.write_text("#!/bin/sh\necho runsc version release-20250101.0\necho spec: 1.1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert list(runtime_facts("runsc")) == [Fact("host.runsc", "release-20250101.0", "host")]
    assert list(runtime_facts("runc")) == []
    program.write_text("#!/bin/sh\nexit 1\n")
    assert list(runtime_facts("runsc")) == []


@pytest.fixture
def environment(world: SmallWorld) -> bytes:
    return (world.launch().bundle / "environment.json").read_bytes()


def test_every_fact_of_a_launch_is_as_the_published_schema_says(environment: bytes) -> None:
    schema = schema_of("environment")
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(environment))
    meant = {
        row["if"]["properties"]["name"]["const"] for row in schema["properties"]["facts"]["items"]["allOf"]
    }
    assert {fact.name for fact in observe_host()} <= meant


def test_the_schema_refuses_a_fact_from_the_wrong_source_or_of_another_type(environment: bytes) -> None:
    validator = Draft202012Validator(schema_of("environment"))
    for change in ({"source": "declared"}, {"value": 5}, {"source": "rumour"}, {"more": 1}):
        document = json.loads(environment)
        next(fact for fact in document["facts"] if fact["name"] == "host.kernel").update(change)
        assert not validator.is_valid(document)


def test_no_bundle_says_whose_machine_it_was_or_where(environment: bytes, world: SmallWorld) -> None:
    """Neither names nor addresses nor folders of this machine are in it."""
    text = environment.decode()
    words = {
        socket.gethostname(),
        socket.getfqdn(),
        str(Path.home()),
        str(world.root),
        str(Path(__file__).parents[2]),
        ":".join(f"{uuid.getnode():012x}"[at : at + 2] for at in range(0, 12, 2)),
    }
    if getpass.getuser() != "root":
        words.add(getpass.getuser())
    for path in ("/etc/machine-id", "/sys/class/dmi/id/product_uuid", "/sys/class/dmi/id/product_serial"):
        if Path(path).is_file():
            words.add(Path(path).read_text().strip())
    assert [word for word in words if len(word) > 3 and word in text] == []
