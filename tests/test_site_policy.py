"""What a site policy makes of launches: raised, refused, recorded; and one that nobody may rely on."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.environment.facts import read_environment
from launcher.errors import RequirementError
from launcher.runs.site import has, shortcomings
from launcher.spec.site import DEMANDS, SitePolicy
from tests.conftest import Evalctl
from tests.fakes.engine import FACTS
from tests.fakes.world import SmallWorld

HEAD = 'schema = "evalctl/site/v1"\n'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(HEAD)
    return path


def environment(world: SmallWorld) -> dict[str, object]:
    (bundle,) = world.home.bundles.iterdir()
    return read_environment((bundle / "environment.json").read_bytes())


def test_the_sites_least_runtime_is_what_runs_and_what_is_signed(
    world: SmallWorld, evalctl: Evalctl, site: Path
) -> None:
    site.write_text(HEAD + 'minimum-runtime = "runsc"\n')
    done = evalctl("launch", world.file, "--site", site)
    assert done.code == 0, done.err
    facts = environment(world)
    assert facts["sandbox.profile"]["runtime"] == "runsc"  # type: ignore[index]
    assert facts["site.policy"]["minimum-runtime"] == "runsc"  # type: ignore[index]
    assert "ran under runsc, stronger than runc" in done.out
    (bundle,) = world.home.bundles.iterdir()
    assert evalctl("verify", bundle).code == 0


def test_a_runtime_that_the_site_demands_and_the_engine_lacks_is_refused_not_replaced(
    world: SmallWorld, evalctl: Evalctl, site: Path
) -> None:
    world.engine.facts = replace(FACTS, runtimes=("runc",))
    site.write_text(HEAD + 'minimum-runtime = "runsc"\n')
    done = evalctl("launch", world.file, "--site", site)
    assert (done.code, "the sandbox runtime" in done.err) == (6, True)
    assert not world.home.bundles.exists()


def test_what_the_host_lacks_is_refused(world: SmallWorld, evalctl: Evalctl, site: Path) -> None:
    world.engine.facts = replace(FACTS, cgroup_version="1")
    site.write_text(HEAD + 'require = ["cgroup-v2"]\n')
    done = evalctl("launch", world.file, "--site", site)
    assert (done.code, "cgroup-v2" in done.err) == (6, True)


def test_what_the_host_lacks_is_recorded_where_the_site_says_so(
    world: SmallWorld, evalctl: Evalctl, site: Path
) -> None:
    world.engine.facts = replace(FACTS, cgroup_version="1")
    site.write_text(HEAD + 'require = ["cgroup-v2"]\nlacking = "record"\n')
    done = evalctl("launch", world.file, "--site", site)
    assert done.code == 0, done.err
    assert "the host lacks cgroup-v2, which the site policy requires" in done.out


def test_a_widening_that_the_site_does_not_allow_is_refused(
    world: SmallWorld, evalctl: Evalctl, site: Path
) -> None:
    world.write(sandbox='allow = ["exec-tmp"]')
    site.write_text(HEAD + "widenings = []\n")
    for command in ("launch", "plan"):
        done = evalctl(command, world.file, "--site", site)
        assert (done.code, "the widening `exec-tmp`" in done.err) == (6, True)


def test_an_engine_that_the_site_does_not_allow_is_refused(
    world: SmallWorld, evalctl: Evalctl, site: Path
) -> None:
    site.write_text(HEAD + 'engines = ["podman"]\n')
    done = evalctl("launch", world.file, "--site", site)
    assert (done.code, "the engine `fake`" in done.err) == (6, True)


def test_a_reproduction_stands_under_the_site_policy_too(
    world: SmallWorld, evalctl: Evalctl, site: Path
) -> None:
    bundle = world.launch().bundle
    site.write_text(HEAD + 'engines = ["podman"]\n')
    done = evalctl("reproduce", bundle, "--site", site, "--json")
    assert (done.code, "site policy" in done.err) == (6, True)


@pytest.mark.parametrize(
    ("text", "mode", "code"), [(HEAD + "oops = 1\n", 0o644, 2), (HEAD, 0o666, 3), (None, 0, 2)]
)
def test_a_policy_that_nobody_may_rely_on_stops_every_command(
    world: SmallWorld, evalctl: Evalctl, site: Path, text: str | None, mode: int, code: int
) -> None:
    if text is None:
        site.unlink()
    else:
        site.write_text(text)
        site.chmod(mode)
    for command in ("launch", "plan", "doctor"):
        assert evalctl(command, world.file, "--site", site).code == code
    assert not world.home.bundles.exists()


def test_the_machines_policy_is_read_where_none_is_named(
    world: SmallWorld, evalctl: Evalctl, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.cli.site.DEFAULT", site)
    site.write_text(HEAD + 'engines = ["podman"]\n')
    assert evalctl("launch", world.file).code == 6


def test_doctor_says_what_the_site_requires_and_this_machine_lacks(
    world: SmallWorld, evalctl: Evalctl, site: Path
) -> None:
    world.engine.facts = replace(FACTS, cgroup_version="1")
    site.write_text(HEAD + 'require = ["cgroup-v2"]\nengines = ["docker"]\n')
    done = evalctl("doctor", "--site", site)
    assert done.code == 6
    assert "site-cgroup-v2" in done.out
    assert "site-engine" in done.out


def test_each_demand_is_told_from_what_an_engine_says() -> None:
    everything = replace(
        FACTS,
        name="docker",
        cgroup_version="2",
        limits=("memory", "swap", "cpus", "pids"),
        security_options=(
            "name=seccomp,profile=default",
            "name=apparmor",
            "name=selinux",
            "name=userns",
            "name=rootless",
        ),
    )
    nothing = replace(everything, cgroup_version="1", limits=(), security_options=())
    for demand in DEMANDS:
        assert has(everything, demand)
        assert not has(nothing, demand)
        assert shortcomings(nothing, SitePolicy(require=(demand,), lacking="record")) == (demand,)
        with pytest.raises(RequirementError):
            shortcomings(nothing, SitePolicy(require=(demand,)))


def test_a_plan_names_what_the_site_refuses_of_the_host(
    world: SmallWorld, evalctl: Evalctl, site: Path
) -> None:
    world.engine.facts = replace(FACTS, cgroup_version="1")
    site.write_text(HEAD + 'require = ["cgroup-v2"]\n')
    (unmet,) = json.loads(evalctl("plan", world.file, "--site", site, "--json").out)["unmet"]
    assert "site policy refuses an engine or host without cgroup-v2" in unmet["what"]
    site.write_text(HEAD + 'require = ["cgroup-v2"]\nlacking = "record"\n')
    assert json.loads(evalctl("plan", world.file, "--site", site, "--json").out)["unmet"] == []
