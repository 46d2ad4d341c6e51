"""Rows 2 and 8: backward against two-sided differences, in float64, with L2 and batch norm. Prints each parameter."""

import numpy as np

from trainer.gradcheck import check_network
from trainer.layers.network import Architecture, Network

shape = Architecture(sizes=(8, 6, 5, 3), activations=("tanh", "sigmoid"), loss="softmax", batch_norm=True)
parameters = shape.parameters(dtype=np.float64)
rng = np.random.default_rng(0)
for W in parameters.values.values():
    W[...] = rng.standard_normal(W.shape)
X, Y = rng.standard_normal((16, 8)), np.eye(3)[rng.integers(0, 3, 16)]

report = check_network(Network(shape, parameters, batch=16, training=True), X, Y, rng, l2=0.1)
for name, error in report.relative_errors.items():
    print(f"{name:7} {error:.1e}")
print(f"the worst is {report.worst}: {'right' if report.largest < 1e-6 else 'WRONG'}")
