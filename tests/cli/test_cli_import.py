"""`sturgeon import` with the files of other tools: what they say is said, and what cannot be said is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sturgeon.cli.files import read_mapping
from sturgeon.messages import StudyRequest
from tests.cli.command import Command

FILES = Path(__file__).parent / "imports"


def number(low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"type": "float", "low": low, "high": high} | more


def log(low: float, high: float, **more: Any) -> dict[str, Any]:
    return number(low, high, scale="log") | more


def whole(low: int, high: int, **more: Any) -> dict[str, Any]:
    return {"type": "int", "low": low, "high": high} | more


def choice(*values: Any, **more: Any) -> dict[str, Any]:
    return {"type": "choice", "values": list(values)} | more


def fixed(value: Any) -> dict[str, Any]:
    return {"type": "fixed", "value": value}


NNI_SPACE = {
    "batch_size": choice(16, 32, 64, 128),
    "hidden_size": whole(128, 1024),
    "lr": log(1e-4, 0.1),
    "momentum": number(0.5, 0.95, step=0.05),
    "init": {"type": "normal", "mean": 0, "sd": 0.02},
    "layer0": choice("empty", "conv", "pool"),
    "layer0.kernel_size": choice(1, 3, 5, when={"layer0": ["conv"]}),
    "layer0.pooling_size": choice(1, 2, when={"layer0": ["pool"]}),
}
KATIB_NUMBER = r"\s*=\s*([+-]?\d*\.?\d+(?:[Ee][+-]?\d+)?)"

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "wandb_bayes.yaml": (
        {
            "learning_rate": log(1e-5, 0.1),
            "batch_size": whole(32, 256, step=8, scale="log"),
            "dropout": choice(0.3, 0.4, 0.5),
            "optimizer.name": choice("adam", "sgd", weights=[0.75, 0.25]),
            "optimizer.momentum": number(0.5, 0.99),
            "epochs": fixed(27),
            "fc_layer_size": whole(64, 512),
        },
        {
            "name": "resnet-sweep",
            "title": "ResNet-18 on CIFAR-10",
            "metric": "val/loss",
            "direction": "minimize",
            "pruning": {"rule": "asha", "eta": 3, "grace": 3},
            "budget": {"max_trials": 50, "stop_when": {"below": 0.05}},
        },
        ["project", "parameters.optimizer"],
    ),
    "wandb_grid.yaml": (
        {"layers": choice(1, 2, 3), "activation": choice("relu", "tanh")},
        {
            "search": {"sampler": "grid"},
            "direction": "maximize",
            "budget": {"max_trials": 6},
            "task": {
                "kind": "command",
                "argv": ["python3", "train.py", "--quiet", "layers={layers}", "activation={activation}"],
            },
        },
        ["command: ${envvar:EXTRA}"],
    ),
    "wandb_sweep.py": (
        {"x": number(0.01, 0.1), "y": choice(1, 3, 7), "noise": {"type": "lognormal", "mean": -2, "sd": 0.5}},
        {"metric": "score", "search": {"sampler": "random"}},
        ["parameters.shape.a", "parameters.shape.b", "parameters.shape"],
    ),
    "nni_space.json": (NNI_SPACE, {"metric": "loss", "budget": {"max_trials": 100}}, []),
    "nni_config.yml": (
        NNI_SPACE,
        {
            "name": "MNIST-example",
            "direction": "maximize",
            "search": {"sampler": "coarse_to_fine", "seed": 7},
            "pruning": {"rule": "median", "grace": 5},
            "budget": {"max_trials": 60, "max_seconds": 28_800},
            "task": {"kind": "command", "argv": ["python3", "mnist.py", "--data", "{{root}}"], "cwd": "code"},
            "needs": {"gpus": 1},
        },
        ["trialConcurrency", "trainingService: remote"],
    ),
    "nni_v1.yml": (
        {"lr": number(0.1, 0.9)},
        {
            "search": {"sampler": "grid"},
            "budget": {"max_trials": 10, "max_seconds": 1800},
            "task": {"kind": "command", "argv": ["sh", "-c", "cd src && python3 train.py"]},
        },
        ["trialConcurrency", "authorName"],
    ),
    "katib_random.yaml": (
        {
            "lr": number(0.01, 0.05),
            "momentum": number(0.5, 0.9, step=0.1),
            "layers": whole(1, 5),
            "optimizer": choice("sgd", "adam", "ftrl"),
        },
        {
            "name": "random",
            "search": {"sampler": "random", "seed": 10},
            "budget": {"max_trials": 12, "stop_when": {"below": 0.001}},
            "needs": {"gpus": 1, "memory_gb": 2.147},
            "task": {
                "kind": "command",
                "argv": [
                    *("python3", "/opt/pytorch-mnist/mnist.py", "--epochs=1"),
                    *("--lr={lr}", "--momentum={momentum}"),
                ],
                "env": {"OMP_NUM_THREADS": "2"},
                "metrics": {
                    "lines": {"loss": f"loss{KATIB_NUMBER}", "Train-accuracy": rf"Train\-accuracy{KATIB_NUMBER}"}
                },
            },
        },
        ["spec.parallelTrialCount", "spec.maxFailedTrialCount", "container.resources.cpu: 0.5", "container.image"],
    ),
    "katib_tpe.json": (
        {"--lr": log(1e-4, 0.1), "--batch": choice(32, 64, 128, ordered=True)},
        {
            "direction": "maximize",
            "metric": "Validation-accuracy",
            "search": {"sampler": "coarse_to_fine"},
            "pruning": {"rule": "median", "grace": 5},
        },
        ["earlyStopping.min_trials_required", "trialTemplate"],
    ),
    "ray_space.yaml": (
        {
            "env": fixed("CartPole-v1"),
            "gamma": fixed(0.99),
            "lr": log(1e-5, 1e-2),
            "num_sgd_iter": whole(1, 30),
            "train_batch_size": choice(1000, 2000, 4000),
            "model/fcnet_hiddens": choice([64, 64], [256, 256]),
        },
        {
            "name": "cartpole-ppo",
            "metric": "episode_reward_mean",
            "direction": "maximize",
            "budget": {"max_trials": 20},
        },
        ["stop: {'training_iteration'", "run", "model/weight", "grid_search of train_batch_size"],
    ),
    "ray_train.py": (
        {
            "l1": choice(*(2**i for i in range(9))),
            "l2": choice(4, 8, 16),
            "lr": log(1e-4, 0.1),
            "wd": number(0.0, 0.1, step=0.02),
            "noise": {"type": "normal", "mean": 0, "sd": 0.5},
            "epochs": fixed(10),
        },
        {
            "metric": "loss",
            "direction": "minimize",
            "pruning": {"rule": "asha", "eta": 4, "grace": 2},
            "budget": {"max_trials": 30},
        },
        ["data"],
    ),
    "optuna_objective.py": (
        {
            "n_layers": whole(1, 3),
            "n_units_l0": whole(4, 128, scale="log"),
            "n_units_l1": whole(4, 128, scale="log", when={"n_layers": {"at_least": 2}}),
            "n_units_l2": whole(4, 128, scale="log", when={"n_layers": {"at_least": 3}}),
            "optimizer": choice("Adam", "RMSprop", "SGD"),
            "lr": log(1e-5, 0.1),
            "momentum": number(0.0, 0.75, step=0.25, when={"optimizer": ["SGD"]}),
            "beta": number(0.8, 0.999, when={"optimizer": ["Adam", "RMSprop"]}),
            "clip": number(0.1, 10.0),
        },
        {
            "name": "fashion",
            "direction": "maximize",
            "search": {"sampler": "coarse_to_fine", "seed": 3},
            "pruning": {"rule": "asha", "eta": 4, "grace": 2},
            "budget": {"max_trials": 100},
        },
        ["line 23", "line 28", "TPESampler(multivariate=..)", "optimize(timeout=600)"],
    ),
    "optuna_distributions.json": (
        {
            "lr": log(1e-5, 0.1),
            "dropout": number(0.0, 0.5, step=0.1),
            "layers": whole(1, 7, step=2),
            "booster": choice("gbtree", "dart", None),
        },
        {"budget": {"max_trials": 100}},
        [],
    ),
}


def test_each_file_of_another_tool_is_tested() -> None:
    assert {file.name for file in FILES.iterdir() if file.is_file()} == CASES.keys()


@pytest.mark.parametrize("file", CASES)
def test_a_file_of_another_tool_makes_a_study(sturgeon: Command, file: str) -> None:
    space, said, unsaid = CASES[file]
    found = sturgeon("import", FILES / file, "-o", "json").json
    assert found["study"]["space"] == space
    assert list(found["study"]["space"]) == list(space)
    assert {name: found["study"][name] for name in said} == said
    assert [sentence.partition(":")[0] for sentence in found["unsaid"]] == [one.partition(":")[0] for one in unsaid]
    assert StudyRequest.model_validate(found["study"]).space.problems() == []


def test_a_study_is_written_with_what_could_not_be_said(sturgeon: Command, tmp_path: Path) -> None:
    out = tmp_path / "study.yaml"
    ran = sturgeon("import", FILES / "wandb_grid.yaml", "--out", out, "--name", "grid", "--trials", "4")
    assert (ran.code, ran.out.strip()) == (0, f"Wrote {out}. Next: sturgeon study create {out}")
    assert "Not imported: command: ${envvar:EXTRA}: this macro is left out." in ran.err
    assert "# Not imported: command: ${envvar:EXTRA}" in out.read_text()
    written = StudyRequest.model_validate(read_mapping(out))
    assert (written.name, written.budget.max_trials, len(written.space.searched)) == ("grid", 4, 2)


@pytest.mark.usefixtures("server")
def test_an_import_can_be_created_at_once(sturgeon: Command) -> None:
    made = sturgeon("import", FILES / "nni_space.json", "--create", "--name", "nni", "-o", "json").json
    assert (made["name"], list(made["space"])) == ("nni", list(NNI_SPACE))


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("a: 1\n", [], "looks like none of these"),
        ("parameters: {lr: {min: a, max: 2}}\nmethod: random\n", [], "lr.min is 'a', which is no number"),
        ("parameters: {lr: {value: 2}}\nmethod: random\n", [], "There is no parameter to search"),
        ("lr: {_type: uniform, _value: [1]}\n", [], "lr is a uniform: its _value has 2 numbers"),
        ("lr: {_type: uniform, _value: [2, 1]}\n", [], "low must be less than high"),
        ("lr: tune.uniform(0, 1)\n", ["--from", "wandb"], "A sweep has parameters"),
        ("kind: Experiment\napiVersion: kubeflow.org/v1\nspec: {nasConfig: {}}\n", [], "no list spec.parameters"),
        (
            "kind: Experiment\napiVersion: kubeflow.org/v1\nmetadata: 5\nspec: {parameters: [5]}\n",
            [],
            "A field of it is not",
        ),
        ("x: {_type: quniform, _value: [0, 1, 0]}\n", [], "A step (q) is above 0"),
        (
            "method: grid\nparameters: {x: {distribution: log_uniform, min: 900, max: 999}}\n",
            [],
            "A field of it is not",
        ),
    ],
)
def test_what_is_no_search_is_refused_with_its_reason(
    sturgeon: Command, tmp_path: Path, content: str, options: list[str], says: str
) -> None:
    (tmp_path / "x.yaml").write_text(content)
    ran = sturgeon("import", tmp_path / "x.yaml", *options)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_a_module_may_have_the_space_as_objects(
    sturgeon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_space_of_optuna.py").write_text(
        "from optuna.distributions import CategoricalDistribution, FloatDistribution\n"
        "SPACE = {'lr': FloatDistribution(1e-4, 0.1, log=True), 'kind': CategoricalDistribution(('a', 'b'))}\n"
    )
    monkeypatch.chdir(tmp_path)
    found = sturgeon("import", "my_space_of_optuna:SPACE", "-o", "json").json
    assert found["study"]["space"] == {"lr": log(1e-4, 0.1), "kind": choice("a", "b")}
    assert "cannot be imported: AttributeError" in sturgeon("import", "my_space_of_optuna:OTHER").err
