import optuna
import torch.nn as nn

EPOCHS = 10


def define_model(trial):
    n_layers = trial.suggest_int("n_layers", 1, 3)
    layers = []
    for i in range(n_layers):
        layers.append(trial.suggest_int(f"n_units_l{i}", 4, 128, log=True))
    return nn.Sequential(*layers)


def objective(trial: optuna.Trial) -> float:
    model = define_model(trial)
    optimizer_name = trial.suggest_categorical("optimizer", ["Adam", "RMSprop", "SGD"])
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    if optimizer_name == "SGD":
        momentum = trial.suggest_float("momentum", 0.0, 0.9, step=0.25)
    else:
        beta = trial.suggest_uniform("beta", 0.8, 0.999)
    width = trial.suggest_int("width", 1, model.size)
    for epoch in range(EPOCHS):
        trial.report(lr, epoch)
        if trial.should_prune():
            raise optuna.exceptions.TrialPruned()
    if lr > 0.01 and n_layers:
        trial.suggest_float("clip", 0.1, 10.0)
    return lr


if __name__ == "__main__":
    study = optuna.create_study(
        study_name="fashion",
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=3, multivariate=True),
        pruner=optuna.pruners.HyperbandPruner(min_resource=2, reduction_factor=4),
    )
    study.optimize(objective, n_trials=100, timeout=600)
