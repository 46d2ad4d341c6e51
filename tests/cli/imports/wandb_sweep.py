import wandb

sweep_configuration = {
    "method": "random",
    "metric": {"goal": "minimize", "name": "score"},
    "parameters": {
        "x": {"max": 0.1, "min": 0.01},
        "y": {"values": [1, 3, 7]},
        "noise": {"distribution": "log_normal", "mu": -2, "sigma": 0.5},
        "shape": {"distribution": "beta", "a": 1, "b": 3},
    },
}

sweep_id = wandb.sweep(sweep=sweep_configuration, project="my-first-sweep")
