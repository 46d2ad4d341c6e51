"""A plain PyTorch loop that workers run: it is steered, paused, and goes on elsewhere from its checkpoint folder.

sturgeon study create examples/torch_digits.yaml
sturgeon worker --allow-command python
"""

import torch
from sklearn.datasets import load_digits

import sturgeon
from sturgeon.integrations.torch import Loop

trial = sturgeon.trial()
torch.manual_seed(trial.seed)
X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)

units = trial.params.get("units", 32)
model = torch.nn.Sequential(torch.nn.Linear(64, units), torch.nn.ReLU(), torch.nn.Linear(units, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=trial.params.get("lr", 1e-3))

live = {"lr": "lr"} if "lr" in trial.params else {}
loop = Loop(trial, epochs=trial.params.get("epochs", 20), live=live, model=model, optimizer=optimizer)
for _ in loop:
    for rows in torch.randperm(1200).split(64):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        outputs = model(X[1200:])
    loop.report(
        dev_loss=float(torch.nn.functional.cross_entropy(outputs, y[1200:])),
        dev_error=float((outputs.argmax(1) != y[1200:]).float().mean()),
    )
