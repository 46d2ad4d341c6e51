// What Vega's views lack.

let changeset = null;

/** Takes tuples out of a dataset of the view, and puts others in, when it runs next. `remove`: tuples, or a test. */
export function change(view, name, remove, insert) {
  changeset ??= changesetOf(view, name);
  view.change(name, changeset().remove(remove).insert(insert));
}

/** Vega's `changeset`, which its script does not hand out: taken from a change of nothing on its way into the view. */
function changesetOf(view, name) {
  let found = null;
  view.pulse = (_operator, changes) => ((found = changes.constructor), view);
  view.insert(name, []);
  delete view.pulse;
  return found;
}

/** Vega lays the titles of axes out with each change, and would draw all between them anew, though they stay in place. */
export function leaveTitles(view) {
  const known = new WeakMap();
  view.dirty = (item) => {
    if (item.mark.role !== "axis-title") return Object.getPrototypeOf(view).dirty.call(view, item);
    const look = `${item.x} ${item.y} ${item.text}`;
    const before = known.get(item);
    known.set(item, look);
    if (before === undefined || before === look) return view; // it is told before it moves, and after
    return Object.getPrototypeOf(view).dirty.call(view, view.scenegraph().root.items[0]);
  };
}

/** Whether the view has a dataset of this name. */
export function has(view, name) {
  try {
    view.data(name);
    return true;
  } catch {
    return false;
  }
}

/** Calls `f` with the values of a signal, if the picture has it. */
export function listen(view, name, f) {
  try {
    view.addSignalListener(name, (_name, value) => f(value));
  } catch {
    // this picture has no such signal
  }
}
