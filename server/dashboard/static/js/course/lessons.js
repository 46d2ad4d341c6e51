// The rows of the course that have a page: the idea, the study that shows it, and the pictures of that study.
// A study's file is /static/course/NAME.json, which docs/from-the-notes.md runs, too.

const GRID = [0.001, 0.01, 0.1].flatMap((learning_rate) => [1e-9, 1e-8, 1e-7].map((epsilon) => ({ learning_rate, epsilon })));

/** `given`: trials that people give. `trials`: a picture of each complete trial. `promote`: how the best goes on as a panda. */
export const LESSONS = [
  {
    row: 4,
    title: "Bias and variance",
    study: "bias-variance",
    idea: [
      "How far is the training error from the best that is known, and the dev error from the training error? The wider gap says what to try next: a larger network against bias, more data or regularisation against variance.",
      "Three networks learn digits, with 2, 16 and 256 hidden units. The first cannot even fit its training data. The others can, and what is left is variance.",
    ],
    pictures: [],
    trials: { kind: "diagnosis", title: (row) => `${row.p0} hidden units` },
  },
  {
    row: 14,
    title: "Random values, not a grid",
    study: "random",
    idea: [
      "Of several hyperparameters only a few matter, and nobody knows beforehand which. A grid of nine points tries three values of each; nine random points try nine.",
      "Here the learning rate matters and Adam's epsilon does not. The ticks above the points are the values that each has tried. On one seed the grid can still be lucky: docs/random-beats-grid.md has the means over thirty.",
    ],
    given: GRID,
    pictures: [
      { kind: "grid_against_random", query: "field=p0", title: "By the learning rate, which matters", width: "half" },
      { kind: "grid_against_random", query: "field=p1", title: "By epsilon, which does not", width: "half" },
    ],
  },
  {
    row: 15,
    title: "Coarse to fine",
    study: "coarse-to-fine",
    idea: [
      "Cover the whole space first, then draw more densely where the best trials are.",
      "Each round draws from boxes around the best trials that a model of all results finds, and the boxes get smaller. The lone late points are deliberate: a part of each round keeps looking elsewhere.",
    ],
    pictures: [
      { kind: "zoom", title: "The rounds close in", width: "half" },
      { kind: "history", title: "Score of each trial", width: "half" },
    ],
  },
  {
    row: 16,
    title: "The right scale",
    study: "beta",
    idea: [
      "A beta of 0.9 averages over 10 steps, one of 0.999 over 1,000. Between 0.999 and 0.9995 that doubles; between 0.9 and 0.9005 nothing happens. So draw r evenly and take beta = 1 − 10^r.",
      "The upper ticks are what the study has tried. The lower ones are as many values in even steps of beta: nearly all of them are below 0.95.",
    ],
    pictures: [{ kind: "beta_scale", title: "The error by beta, on its scale" }],
  },
  {
    row: 17,
    title: "Panda and caviar",
    study: "caviar",
    idea: [
      "With many machines, train many models side by side, as fish lay eggs: the caviar. With one, raise one model, look at its curve each day and turn its knobs: the panda.",
      "Eight models are trained for three epochs each. Then the recommended one goes on as a panda, with another learning rate; on its page you can turn its knobs while it trains.",
    ],
    pictures: [{ kind: "panda_caviar", title: "Their curves" }],
    promote: { params: { epochs: 12, learning_rate: 0.003 }, raise_budget: true, reason: "A lower rate from here" },
  },
  {
    row: 23,
    title: "Error analysis",
    study: "errors",
    idea: [
      "Look at what goes wrong before you decide what to work on. Sort the misclassified examples by kind: the share of a kind is the most that working on it can win.",
      "A confusion matrix shows which digits are taken for which. On the trial's page are the examples themselves, to be tagged.",
    ],
    pictures: [],
    trials: { kind: "confusion", title: (row) => `Trial ${row.number}`, link: "Tag its errors" },
  },
  {
    row: 26,
    title: "Data mismatch",
    study: "diagnosis",
    idea: [
      "When train and dev come from different distributions, the step between them has two causes. A part of the training distribution that is not trained on, train-dev, tells variance from mismatch.",
      "Digits come from one distribution, so the mismatch here should be no larger than its uncertainty.",
    ],
    pictures: [],
    trials: { kind: "diagnosis", title: (row) => `Trial ${row.number}` },
  },
  {
    row: 29,
    title: "End to end",
    study: "two-stage",
    worker: "sturgeon worker --slots 2 --allow-python trainer.two_stage",
    idea: [
      "A pipeline of two stages puts in by hand what people know, so it needs less data. One network end to end has to find it in the data, and is not bound by what people have thrown away.",
      "A digit stands somewhere in a scene. A pipeline first cuts out the window with the most ink, and a network reads it; the coarse one sees only the ink in 16 fields of the window. End to end is the same network on the whole scene.",
    ],
    pictures: [{ kind: "two_stage", title: "The error as the data grow" }],
  },
];

/** The command that starts a worker for a lesson. */
export const workerFor = (lesson) => lesson.worker ?? "sturgeon worker --slots 2";
