"""Search over your own code: each trial is asked for, held while it runs, and told as the loop's body ends.

Run `python examples/own_code.py`: it uses the server of STURGEON_SERVER, or else starts one on `./.sturgeon`. Run it
again, and it goes on where it was; run it twice at a time, and both share the work.
"""

from collections.abc import Iterator

import sturgeon


def train(learning_rate: float, beta: float) -> Iterator[tuple[int, float]]:
    """Your code: here gradient descent with momentum, in the valley x^2 + 10 y^2."""
    x, y, vx, vy = 4.0, 2.0, 0.0, 0.0
    for step in range(1, 51):
        vx, vy = beta * vx + (1 - beta) * 2 * x, beta * vy + (1 - beta) * 20 * y
        x, y = x - learning_rate * vx, y - learning_rate * vy
        yield step, x**2 + 10 * y**2


space = {"learning_rate": sturgeon.log(1e-4, 1), "beta": sturgeon.one_minus_log(0.5, 0.999)}
study = sturgeon.study("valley", space, minimize="loss", trials=20)
for trial in study:
    for step, loss in train(**trial.params):
        if step % 25 == 0:
            trial.report(step, loss=loss)
        if trial.should_stop:
            break

best = study.recommended
if best is not None:
    print(f"The best of {study.name} is trial {best.number}: loss {best.value:.3g} with {best.params}.")
