// Tags of misclassified examples: which are people's own, and what a click makes of them.

/** The tag that a run gives each mistake. */
export const ownTag = (mistake) => `${mistake.label} taken for ${mistake.predicted}`;

/** The tags that people gave. */
export function handTags({ mistakes }) {
  const tags = new Set();
  for (const one of mistakes) for (const tag of one.tags) if (tag !== ownTag(one)) tags.add(tag);
  return tags;
}

/** Whether a mistake is shown: by its tag, or by its cell of the confusion matrix. */
export function chosenBy(mistake, filter) {
  if (!filter) return true;
  if (filter.tag !== undefined) return mistake.tags.includes(filter.tag);
  return mistake.label === filter.label && mistake.predicted === filter.predicted;
}

/**
 * What to send so that the rows have the tag: row -> people's tags of it. With `toggles` it is taken away where all have it.
 */
export function retagged(mistakes, rows, tag, toggles) {
  const chosen = mistakes.filter((one) => rows.has(one.row));
  const takesAway = toggles && chosen.every((one) => one.tags.includes(tag));
  const of = (one) => {
    const others = one.tags.filter((known) => known !== tag && known !== ownTag(one));
    return takesAway ? others : [...others, tag];
  };
  return Object.fromEntries(chosen.map((one) => [String(one.row), of(one)]));
}
