"""What the session with workers does not show of `sturgeon.integrations.torch`, and the example."""

import runpy
import sys
import tempfile
from pathlib import Path

import torch

from sturgeon.integrations.torch import Loop
from sturgeon.testing import Trial


class Remembering(Trial):
    """A trial that keeps the epochs of its reports, changes its rate with each, and pauses after `pause_after`."""

    def __init__(self, pause_after=None):
        super().__init__({"lr": 0.5})
        self.epochs, self.pause_after = [], pause_after

    def report(self, *arguments, epoch=None, **metrics):
        super().report(*arguments, epoch=epoch, **metrics)
        self.epochs.append(epoch)
        self.params["lr"] /= 2

    @property
    def should_pause(self):
        return len(self.epochs) == self.pause_after


class WithFolder(Trial):
    """A trial with a checkpoint folder."""

    checkpoint = None

    def __init__(self, folder, **about):
        super().__init__({"lr": 0.1}, **about)
        self.checkpoint, self.whole = Path(folder), []

    def saved(self, step):
        self.whole.append(step)


def trained(trial, epochs, rates=None):
    """The weights after each epoch of a loop that draws random numbers. rates: takes the learning rates."""
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    weights = []
    loop = Loop(trial, epochs, live={"lr": "lr"}, model=model, optimizer=optimizer)
    for _ in loop:
        optimizer.zero_grad()
        model(torch.randn(4, 2)).square().mean().backward()
        optimizer.step()
        if rates is not None:
            rates.append(optimizer.param_groups[0]["lr"])
        weights.append(model.weight.detach().tolist())
        loop.report(loss=1.0)
    return weights


with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as cut:
    straight = trained(WithFolder(whole), 6)
    first = WithFolder(cut, stop_after=2)
    begun = trained(first, 6)
    rest = trained(WithFolder(cut), 6)
    assert (len(begun), len(rest)) == (2, 4)
    assert begun + rest == straight  # bit for bit: the random states are kept, too
    assert first.whole == [1, 2]

paused, rates = Remembering(pause_after=3), []
assert len(trained(paused, 10, rates)) == 3
assert (paused.epochs, rates) == ([1, 2, 3], [0.5, 0.25, 0.125])

with tempfile.TemporaryDirectory() as folder:
    assert len(trained(WithFolder(folder), 1)) == 1
    save = torch.save

    def torn(_states, file):
        Path(file).write_bytes(b"half")
        raise OSError("the disk is full")

    torch.save = torn
    try:
        trained(WithFolder(folder), 2)
    except OSError as error:
        assert "full" in str(error)
    torch.save = save
    assert len(trained(WithFolder(folder), 3)) == 2  # the file of the first epoch is whole still

assert len(trained(Trial({"lr": 0.1}), 3)) == 3  # without a folder nothing is saved

try:
    for _ in Loop(Trial({}), 3):
        pass
except RuntimeError as error:
    assert "nothing was reported" in str(error)
else:
    raise AssertionError("a loop that reports nothing goes on for ever")
try:
    Loop(Trial({"lr": 1}), 3, live={"lr": "lr"})
except TypeError as error:
    assert "need the optimizer" in str(error)
else:
    raise AssertionError("live parameters without an optimizer")

sys.argv = ["torch_digits.py"]
runpy.run_path("examples/torch_digits.py", run_name="__main__")
print("checked")
