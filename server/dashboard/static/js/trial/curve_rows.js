// A trial's curves as the rows that its pictures have: see sturgeon/plots/trial_curves.py, gradients.py and drift.py.

export const GRADIENT = /^gradient_norm_(\d+)$/;
const PARTS = /^(train|training|dev|val|valid|validation|test|train_dev|fresh|recent|adapted|guess)([_/.\- ])(?=.)/i;
const OTHER_PICTURES = /^(gradient_norm_\d+|drift\w*|seconds|epoch|label_share_\d+|input_\w+)$/;
const LONGEST = 40;

/** Metrics by what they have in common, as train_error and dev_error; that of the study first. */
export function groupsOf({ metrics, objective }) {
  const names = Object.keys(metrics).sort((a, b) => (a !== objective) - (b !== objective) || (a < b ? -1 : 1));
  const common = (name) => name.replace(PARTS, "");
  const found = new Map();
  for (const name of names) {
    if (OTHER_PICTURES.test(name) && name !== objective) continue;
    if (!found.has(common(name))) found.set(common(name), []);
    found.get(common(name)).push(name);
  }
  const first = common(objective);
  return new Map([...found].sort(([a], [b]) => (a !== first) - (b !== first) || (a < b ? -1 : 1)));
}

const short = (text, most = LONGEST) => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);

/** The rows of some metrics in one panel. */
export function shownOf({ metrics }, members) {
  return members.filter((name) => name in metrics).flatMap((name) => pointsOf(metrics[name]).map(([epoch, value]) => ({ panel: 0, metric: short(name), epoch, value })));
}

const pointsOf = ({ epochs, values }) => epochs.map((epoch, i) => [epoch, values[i]]);

/** A row for each change that counted at some epoch. */
export function interventionRows(interventions) {
  return interventions.filter((one) => one.epoch !== null).map(({ epoch, version, kind, state, by, reason, change }) => ({ epoch, version, kind, state, by: short(by, 60), reason: short(reason, 160), change: short(changeText(change), 120) }));
}

const shownValue = (value) => (typeof value === "number" ? String(Number(value.toPrecision(5))) : typeof value === "object" ? JSON.stringify(value) : String(value));

/** A change in words: learning_rate = 0.01, momentum = 0.9. */
export const changeText = (change) => Object.entries(change ?? {}).map(([name, value]) => `${name} = ${shownValue(value)}`).join(", ");

/** A row for each layer and epoch. */
export function gradientRows({ metrics }) {
  return Object.keys(metrics).filter((name) => GRADIENT.test(name)).flatMap((name) => pointsOf(metrics[name]).map(([epoch, norm]) => ({ layer: Number(name.match(GRADIENT)[1]), epoch, norm })));
}

const ERRORS = { fresh_error: "new portion", recent_error: "mean of the last ten" };
const TESTS = { drift_inputs: "alarm: inputs", drift_labels: "alarm: labels", drift_error: "alarm: error" };

/** The datasets of the picture of a stream. */
export function driftData({ metrics, interventions }) {
  const rows = (names, row) => Object.entries(names).flatMap(([name, label], i) => (metrics[name] ? pointsOf(metrics[name]).flatMap(([epoch, value]) => row(label, epoch, value, i)) : []));
  return {
    portions: rows(ERRORS, (series, epoch, value) => [{ series, epoch, value }]),
    alarms: rows(TESTS, (test, epoch, value, row) => (value ? [{ epoch, test, row }] : [])),
    interventions: interventionRows(interventions),
  };
}
