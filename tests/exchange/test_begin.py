"""Beginning an evaluation from a command line of lm-eval or a log of Inspect."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from launcher.authoring.scaffold import Scaffold
from launcher.authoring.starter import StartingPoint
from launcher.errors import MalformedError
from launcher.exchange.from_inspect import begin_from_inspect, read_start
from launcher.exchange.from_lm_eval import begin_from_lm_eval, include_path, read_command, read_task_files
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld

LOGS = Path(__file__).parents[1] / "harness" / "logs"
START = StartingPoint("me/it", Path("/layout"))
SUMS = """
task: sums
output_type: generate_until
filter_list:
  - name: strict
    filter: [{function: take_first}]
  - name: loose
    filter: [{function: take_first}]
metric_list:
  - metric: exact_match
"""


def begun(command: str, **tasks: str) -> Scaffold:
    return begin_from_lm_eval(command, START, {f"{name}.yaml": text.encode() for name, text in tasks.items()})


def blueprint(scaffold: Scaffold) -> Any:
    return tomli.loads(scaffold.files["blueprint.toml"].decode())


def arguments(command: str, **tasks: str) -> str:
    return " ".join(blueprint(begun(command, **tasks))["run"]["command"])


def test_a_command_is_run_with_its_model_tasks_and_results_where_the_container_has_them() -> None:
    command = (
        "python -m lm_eval run --model hf --model_args pretrained=/m/x,dtype=float32 -t a,b -f 5 --seed 7"
    )
    assert arguments(f"{command} --include_path=tasks -o out", a="task: a") == (
        "python3.11 run.py --model hf --model_args pretrained=/eval/inputs/model,dtype=float32 --tasks a,b "
        "-f 5 --include_path tasks --log_samples --output_path /eval/out/artifacts"
    )
    values = blueprint(begun(command))
    assert (values["run"]["seeds"], values["run"]["format"]) == ([7], "lm-eval")
    assert values["model"][0]["uri"] == "model"


def test_what_makes_a_run_partial_or_speaks_to_services_is_left_out_and_said() -> None:
    command = "lm_eval -M hf -a pretrained=m -t a -L 10 --use_cache c --wandb_args project=x --device cuda:0"
    scaffold = begun(command)
    assert "-L" not in arguments(command) and "--use_cache" not in arguments(command)
    assert "wandb" not in arguments(command)
    readme = scaffold.files["README.md"].decode()
    assert "`--limit` was left out: a limit makes a partial run" in readme
    assert "`--wandb_args` was left out" in readme
    assert blueprint(scaffold)["resources"]["gpu"] == {"count": 1}


def test_metrics_are_those_of_the_task_files() -> None:
    scaffold = begun("lm_eval -M hf -a pretrained=m -t sums,colours", sums=SUMS, colours="task: colours")
    metrics = [(item["name"], item["of"], item["where"]) for item in blueprint(scaffold)["metric"]]
    assert metrics == [
        ("sums.exact_match.strict", "scores.exact_match.strict", {"task": "sums"}),
        ("sums.exact_match.loose", "scores.exact_match.loose", {"task": "sums"}),
        ("colours.acc", "scores.acc", {"task": "colours"}),
    ]
    assert scaffold.files["tasks/sums.yaml"].decode() == SUMS


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("", "does not call `lm_eval`"),
        ("inspect eval x", "does not call `lm_eval`"),
        ("lm_eval --model hf", "names no tasks"),
        ("lm_eval --tasks", "names no tasks"),
        ("lm_eval --tasks 'a", "is not a command line"),
        ("lm_eval --tasks a && rm -r x", "more than one command"),
        ("lm_eval ls tasks", "`ls` is no option"),
    ],
)
def test_another_command_is_refused_with_what_is_wrong(command: str, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        begun(command)


@given(st.text(max_size=80) | st.text("lm_eval -=' \"t\\\n\x7fé", max_size=60))
def test_any_command_gives_a_blueprint_or_our_error(text: str) -> None:
    for command in (text, f"lm_eval --tasks a {text}"):
        try:
            blueprint(begun(command, a=text))
        except MalformedError:
            continue


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(MalformedError, match="not Unicode"):
        begun("lm_eval --tasks \udcff")


def test_task_files_are_read_within_bounds(tmp_path: Path) -> None:
    for name in ("a.yaml", "more/b.py", ".hidden/c.yaml", "data.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("task: a")
    (tmp_path / "link.yaml").symlink_to("/etc/hostname")
    assert set(read_task_files(tmp_path)) == {"a.yaml", "more/b.py"}
    (tmp_path / "a.yaml").write_bytes(b"x" * (2 << 20))
    with pytest.raises(MalformedError, match="larger than"):
        read_task_files(tmp_path)
    with pytest.raises(MalformedError, match="is no folder here"):
        read_task_files(tmp_path / "absent")


def test_options_keep_their_values_in_every_spelling() -> None:
    command = read_command("lm_eval --tasks a b --gen_kwargs t=-1,x=y --metadata '{\"a\": 1}' --limit -1")
    assert command.values("--tasks") == ("a", "b")
    assert command.values("--gen_kwargs") == ("t=-1,x=y",)
    assert include_path("lm_eval --tasks a") == ""


def changed(tmp_path: Path, change: Callable[[Any], None]) -> Path:
    log = json.loads(next((LOGS / "inspect-json").iterdir()).read_text())
    change(log["eval"])
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    return path


def from_inspect(path: Path, task_file: bytes | None = None) -> Scaffold:
    return begin_from_inspect(read_start(path), START, task_file)


def program(scaffold: Scaffold) -> dict[str, Any]:
    """Return what run.py would give to Inspect."""
    text = (
        scaffold.files["run.py"].decode().partition("\neval(")[0].replace("from inspect_ai import eval", "")
    )
    values: dict[str, Any] = {}
    exec(compile(text, "run.py", "exec"), values)
    return {name: value for name, value in values.items() if name.isupper()}


def test_a_log_gives_task_model_settings_and_metrics() -> None:
    scaffold = from_inspect(next((LOGS / "inspect-eval").iterdir()), b"task")
    assert program(scaffold) == {
        "TASK": "words.py@words",
        "TASK_ARGUMENTS": {"kind": "none"},
        "MODEL": "mockllm/model",
        "MODEL_ARGUMENTS": {},
        "SETTINGS": {"epochs": 2, "score_on_error": False},
    }
    assert scaffold.files["words.py"] == b"task"
    values = blueprint(scaffold)
    assert [metric["of"] for metric in values["metric"]] == [
        "scores.includes",
        "scores.shape.length",
        "scores.shape.polite",
    ]
    assert (values["run"]["format"], "model" in values) == ("inspect", False)


def test_a_local_model_is_mounted_and_a_service_is_named(tmp_path: Path) -> None:
    local = from_inspect(changed(tmp_path, lambda spec: spec.update(model="hf/acme/tiny", model_args={})))
    assert program(local)["MODEL"] == "hf/local"
    assert program(local)["MODEL_ARGUMENTS"] == {"model_path": "/eval/inputs/model"}
    assert blueprint(local)["model"][0]["uri"] == "model"
    assert "Put the files of the model `hf/acme/tiny`" in local.files["README.md"].decode()
    service = from_inspect(changed(tmp_path, lambda spec: spec.update(model="openai/some")))
    assert "is a service, and the container reaches none" in service.files["README.md"].decode()


def test_a_task_that_needs_a_docker_sandbox_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="sandbox `docker`, which needs an engine"):
        from_inspect(changed(tmp_path, lambda spec: spec.update(sandbox={"type": "docker"})))


@pytest.mark.parametrize("name", ["../../etc/x.py", "/abs/x.py", "x y.py", "run.py", ".py", "x.sh", 7, None])
def test_a_task_file_of_any_name_stays_in_the_folder(tmp_path: Path, name: Any) -> None:
    scaffold = from_inspect(changed(tmp_path, lambda spec: spec.update(task_file=name)), b"task")
    assert set(scaffold.files) <= {".gitignore", "blueprint.toml", "README.md", "run.py", "x.py"}
    assert b"from inspect_ai" in scaffold.files["run.py"]


def test_odd_texts_of_a_log_do_not_become_code(tmp_path: Path) -> None:
    odd = 'a\'"\\\n\x7f{}"""; import os #'

    def change(spec: Any) -> None:
        spec.update(task_registry_name=odd, model=f"x/{odd}", task_args_passed={odd: odd}, task_file=None)

    scaffold = from_inspect(changed(tmp_path, change))
    assert program(scaffold)["TASK_ARGUMENTS"] == {odd: odd}
    assert blueprint(scaffold)["metric"]


def test_init_begins_a_blueprint_that_pins_and_validates(
    evalctl: Evalctl, world: SmallWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "sums.yaml").write_text(SUMS)
    image = f"oci:{world.folder / 'image'}"
    command = "lm_eval --model hf --model_args pretrained=m --tasks sums --include_path tasks"
    (tmp_path / "words.py").write_text("# the task\n")
    log = next((LOGS / "inspect-eval").iterdir())
    for folder, arguments in (("one", ("--from-lm-eval", command)), ("two", ("--from-inspect", str(log)))):
        done = evalctl("init", folder, "--image", image, *arguments)
        assert done.code == 0, done.err
        (tmp_path / folder / "model").mkdir()
        (tmp_path / folder / "model" / "weights").write_bytes(b"1")
        assert evalctl("pin", tmp_path / folder / "blueprint.toml", "--yes").code == 0
        assert evalctl("validate", tmp_path / folder / "blueprint.toml").code == 0
    assert (tmp_path / "two" / "words.py").read_text() == "# the task\n"
    both = evalctl("init", "three", "--image", image, "--from-lm-eval", command, "--from-inspect", log)
    assert (both.code, (tmp_path / "three").exists()) == (2, False)
    failed = next((LOGS / "inspect-failed").iterdir())
    assert evalctl("init", "three", "--image", image, "--from-inspect", failed).code == 2
    assert not (tmp_path / "three").exists()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--from-lm-eval", "python program.py", "it does not call `lm_eval`"),
        ("--from-inspect", str(LOGS / "inspect-json"), "is a folder"),
        ("--from-inspect", __file__, "name the log of a run that succeeded"),
    ],
)
def test_what_to_begin_from_is_read_before_an_image_is_asked_for(
    evalctl: Evalctl, tmp_path: Path, option: str, value: str, said: str
) -> None:
    done = evalctl("init", tmp_path / "new", option, value, "--image", "oci:nowhere")
    assert (done.code, said in done.err) == (2, True)
    assert not (tmp_path / "new").exists()
