// The boxes of a coarse-to-fine search as rows of a picture (as sturgeon/plots/boxes.py makes them for files).

/** `rounds`: the answer of /rounds. A row for each range of each box: round, elite, level, current, field, low and high, or value. */
export function boxRows(rounds, parameters) {
  const fields = new Map(parameters.map((one) => [one.name, one]));
  return rounds.items.flatMap((round) => round.boxes.flatMap((box) => ofBox(round, box, fields)));
}

function ofBox({ number, current }, { elite, level, ranges }, fields) {
  return Object.entries(ranges).flatMap(([name, range]) => {
    const parameter = fields.get(name);
    if (!parameter) return [];
    const place = { round: number, current, elite, level, field: parameter.field };
    if (range.values) return range.values.map((value) => ({ ...place, value: cell(value) }));
    return "low" in range ? [{ ...place, low: range.low, high: range.high }] : [];
  });
}

const cell = (value) => (value === null || typeof value === "object" ? JSON.stringify(value) : value);
