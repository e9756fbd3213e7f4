"""Checkpoints: everything comes back, and nothing but a whole and fitting one is taken."""

import ast
import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import afdcd
from afdcd.config import UserError
from afdcd.training import checkpoint
from afdcd.training.checkpoint import Position
from afdcd.training.optim import build_optimizer, state_of
from afdcd.training.recipe import TrainingConfig

RUN, OTHER = "a" * 64, "b" * 64
PROGRESS = Position(iteration=7, seconds=1.5)
STATE, HEADER = "state.safetensors", "state.json"


def save_checkpoint(
    folder: Path, run: str, step: nn.Module, optimizer: torch.optim.Optimizer, position: Position
) -> None:
    checkpoint.save_checkpoint(folder, run, step, state_of(optimizer), position)


def load_checkpoint(
    folder: Path, run: str, step: nn.Module, optimizer: torch.optim.Optimizer
) -> Position:
    return checkpoint.load_checkpoint(folder, run, step, state_of(optimizer))


def trained(
    width: int = 3, momentum: float = 0.9, seed: int = 0
) -> tuple[nn.Module, torch.optim.SGD]:
    """A module with parameters and buffers that has made two steps."""
    torch.manual_seed(seed)
    step = nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Linear(width, 1))
    optimizer = torch.optim.SGD(step.parameters(), lr=0.1, momentum=momentum)
    for _ in range(2):
        advance(step, optimizer)
    return step, optimizer


def advance(step: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    step(torch.arange(8.0).view(4, 2)).square().mean().backward()
    optimizer.step()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path, RUN, *trained(), PROGRESS)
    return tmp_path


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_weights_buffers_momentum_and_position_come_back(tmp_path: Path, momentum: float) -> None:
    original = trained(momentum=momentum)
    save_checkpoint(tmp_path, RUN, *original, PROGRESS)
    other = trained(momentum=momentum, seed=1)
    assert load_checkpoint(tmp_path, RUN, *other) == PROGRESS
    for step, optimizer in (original, other):
        advance(step, optimizer)  # equal only if the momentum came back too
    for name, value in original[0].state_dict().items():
        assert value.equal(other[0].state_dict()[name]), name


def test_the_curve_since_the_last_validation_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    curve = {"iteration": [2.0, 4.0], "total": [0.1 + 0.2, 1 / 3], "lr": [1e-300, 0.01]}
    between = Position(iteration=5, seconds=1.5, curve=curve)
    save_checkpoint(tmp_path, RUN, *trained(), between)
    assert load_checkpoint(tmp_path, RUN, *trained(seed=1)) == between


def test_after_a_validation_the_header_is_as_an_earlier_afdcd_knows_it(saved: Path) -> None:
    header = json.loads((saved / HEADER).read_text())
    assert header["position"] == {"iteration": 7, "seconds": 1.5}


def test_checkpoint_before_the_first_step_is_one_too(tmp_path: Path) -> None:
    step = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(step.parameters(), lr=0.1, momentum=0.9)
    save_checkpoint(tmp_path, RUN, step, optimizer, Position())
    assert load_checkpoint(tmp_path, RUN, step, optimizer) == Position()


class _Counts(nn.Linear):
    """A module with a state of its own beside parameters and buffers."""

    count = 0

    def get_extra_state(self) -> torch.Tensor:
        return torch.tensor(self.count)

    def set_extra_state(self, state: torch.Tensor) -> None:
        self.count = int(state)


def test_state_that_a_module_names_itself_comes_back(tmp_path: Path) -> None:
    step, other = (nn.Sequential(_Counts(2, 1)) for _ in range(2))
    step[0].count = 2**40
    assert "0._extra_state" in step.state_dict()
    save_checkpoint(tmp_path, RUN, step, torch.optim.SGD(step.parameters()), PROGRESS)
    load_checkpoint(tmp_path, RUN, other, torch.optim.SGD(other.parameters()))
    assert other[0].count == 2**40


def test_any_optimizers_state_comes_back_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    kind = {"type": "adamw", "betas": [0.5, 0.9]}
    config = TrainingConfig(iterations=10, validate_every=10, lr=0.1, optimizer=kind)

    def built(seed: int, steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        step, _ = trained(seed=seed)
        optimizer = build_optimizer(config, step.parameters())
        for _ in range(steps):
            advance(step, optimizer)
        return step, optimizer

    original, other = built(0, steps=3), built(1, steps=1)
    save_checkpoint(tmp_path, RUN, *original, PROGRESS)
    load_checkpoint(tmp_path, RUN, *other)
    for step, optimizer in (original, other):
        advance(step, optimizer)  # equal only if moments and count came back too
    for name, value in original[0].state_dict().items():
        assert value.equal(other[0].state_dict()[name]), name
    with pytest.raises(UserError, match="of another optimizer; delete it to start again"):
        load_checkpoint(tmp_path, RUN, *trained())


def test_sgds_state_has_the_name_that_an_earlier_afdcd_gave_it(saved: Path) -> None:
    names = load_file(saved / STATE).keys()
    assert {name for name in names if not name.startswith("step.")} == {
        f"momentum.{index}" for index in range(6)
    }


def test_momentum_comes_back_laid_out_in_memory_as_its_parameter_is(tmp_path: Path) -> None:
    """The fused step on a GPU refuses any other."""

    def built() -> tuple[nn.Module, torch.optim.SGD]:
        step = nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)
        config = TrainingConfig(iterations=10, validate_every=10)
        return step, build_optimizer(config, step.parameters())

    step, optimizer = built()
    momentum = optimizer.state[step.weight]["momentum_buffer"].normal_()
    save_checkpoint(tmp_path, RUN, step, optimizer, PROGRESS)
    step, optimizer = built()
    load_checkpoint(tmp_path, RUN, step, optimizer)
    found = optimizer.state[step.weight]["momentum_buffer"]
    assert found.equal(momentum)
    assert found.stride() == step.weight.stride() == (12, 1, 6, 3)


def test_learning_rate_is_the_schedules_not_the_files(saved: Path) -> None:
    step, optimizer = trained()
    optimizer.param_groups[0]["lr"] = 0.7
    load_checkpoint(saved, RUN, step, optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.7


def refusal(folder: Path, width: int = 3, run: str = RUN) -> str:
    step, optimizer = trained(width)
    before = {name: value.clone() for name, value in step.state_dict().items()}
    with pytest.raises(UserError) as error:
        load_checkpoint(folder, run, step, optimizer)
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value)
    assert all(value.equal(step.state_dict()[name]) for name, value in before.items())
    return str(error.value)


@pytest.mark.parametrize("missing", [STATE, HEADER])
def test_incomplete_checkpoint_is_refused(saved: Path, missing: str) -> None:
    (saved / missing).unlink()
    assert "no usable checkpoint" in refusal(saved)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_altered_tensors_are_refused(saved: Path, place: int) -> None:
    data = bytearray((saved / STATE).read_bytes())
    data[place] ^= 1
    (saved / STATE).write_bytes(data)
    assert "damaged" in refusal(saved)


def test_tensors_that_were_cut_short_are_refused(saved: Path) -> None:
    (saved / STATE).write_bytes((saved / STATE).read_bytes()[:-8])
    assert "damaged" in refusal(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no usable checkpoint"),
        ("[]", "checkpoint version None, this is version 3"),
        ("{}", "checkpoint version None, this is version 3"),
        ('{"version": 3}', "sha256: required"),
        (
            '{"version": 3, "run": "x", "sha256": "x", "position": {"iteration": "two"}}',
            "position.iteration",
        ),
    ],
)
def test_unreadable_header_is_refused(saved: Path, text: str, message: str) -> None:
    (saved / HEADER).write_text(text)
    step, optimizer = trained()
    with pytest.raises(UserError) as error:
        load_checkpoint(saved, RUN, step, optimizer)
    assert message in str(error.value)
    assert all(str(saved) in line for line in str(error.value).splitlines())


@pytest.mark.parametrize("version", [2, 4])
def test_other_version_says_what_to_do(saved: Path, version: int) -> None:
    header = json.loads((saved / HEADER).read_text())
    (saved / HEADER).write_text(json.dumps({**header, "version": version, "new": True}))
    assert f"checkpoint version {version}, this is version 3; finish the run" in refusal(saved)


def test_checkpoint_of_another_run_is_refused_in_one_line(saved: Path) -> None:
    """A fresh study database over an old folder would complete runs with another's network."""
    line = refusal(saved, run=OTHER)
    assert f"checkpoint of another run ({RUN[:12]}, this one is {OTHER[:12]})" in line
    assert line.endswith("delete it to start again")


def test_checkpoint_of_another_network_is_refused(saved: Path) -> None:
    assert "shapes differ: 0.weight is [3, 2], needs [4, 2]" in refusal(saved, width=4)


def test_pickle_in_place_of_the_tensors_runs_nothing(saved: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path(tmp_path / "ran").touch, ())

    payload = pickle.dumps(Evil())
    (saved / STATE).write_bytes(payload)
    header = json.loads((saved / HEADER).read_text())
    header["sha256"] = hashlib.sha256(payload).hexdigest()
    (saved / HEADER).write_text(json.dumps(header))
    refusal(saved)
    assert not (tmp_path / "ran").exists()


def _reads_tensors_alone(file: Path, node: ast.Call) -> bool:
    """The one place that reads other programs' checkpoints, for `afdcd convert`: without their code."""
    if file.parts[-3:] != ("models", "checkpoints", "pickles.py"):
        return False
    said = {word.arg: ast.unparse(word.value) for word in node.keywords}
    return ast.unparse(node.func) == "torch.load" and said.get("weights_only") == "True"


def test_nothing_in_the_package_unpickles_or_evaluates() -> None:
    """Checked in the source, so that no path from a file to running code can slip in."""
    forbidden_modules = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    forbidden_calls = {"torch.load", "yaml.load", "yaml.unsafe_load", "eval", "exec", "np.load"}
    for file in Path(afdcd.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names}
                if names == {"UnpicklingError"}:  # to catch it; it reads nothing
                    continue
                names |= {getattr(node, "module", None)}
                assert not names & forbidden_modules, f"{file}:{node.lineno}"
            if isinstance(node, ast.Call) and not _reads_tensors_alone(file, node):
                assert ast.unparse(node.func) not in forbidden_calls, f"{file}:{node.lineno}"
