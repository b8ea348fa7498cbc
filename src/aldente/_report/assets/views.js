// Which steps a picture shows, and where the cursor goes from one of them.

/**
 * The views of a run, and of the run in asyncio's own order beside it.
 * @param {Run} run
 * @param {?Run} stock
 * @param {{told: boolean, time: boolean, part: ?number, room: number}} options
 */
function viewsOf(run, stock, { told, time, part, room }) {
  const runs = stock ? [run, stock] : [run];
  const views = runs.map((one) => {
    const entries = one.steps.map((_, index) => index).filter((index) => !told || isTold(runs, one, index, part));
    const columns = new Columns(one, entries, { isTimed: time, room });
    const hasRuler = time || columns.gaps.length > 0;
    return { run: one, columns, rows: new Rows(one, entries, { hasRuler, hasPart: stock !== null }) };
  });
  if (stock) align(views[0].columns, views[1].columns, part);
  return views;
}

// Gives the common beginning of two runs the same columns.
function align(one, other, part) {
  const column = Math.min(one.column, other.column);
  const common = lastUpTo(one.entries, part - 1) + 1;
  const shared = one.extra.slice(0, common).map((extra, position) => Math.max(extra, other.extra[position] ?? 0));
  for (const columns of [one, other]) columns.set(column, [...shared, ...columns.extra.slice(common)]);
}

// In their common beginning both show what the story of either tells; and both show where they part.
function isTold(runs, run, index, part) {
  if (runs.length > 1 && index < part) return runs.some((one) => one.steps[index]?.is_told);
  if (runs.length > 1 && index === part) return true;
  return Boolean(run.steps[index].is_told);
}

/** The step to which the cursor goes from another one; the same one if there is none. */
function stepTowards({ run, columns, rows }, from, way) {
  const { entries } = columns;
  const position = columns.positionOf(from);
  const near = { first: 0, previous: position - 1, next: position + 1, last: entries.length - 1 };
  if (way in near) return entries[near[way]] ?? from;
  const { lane } = run.steps[from];
  if (way === "task-next") return entries.slice(position + 1).find((index) => run.steps[index].lane === lane) ?? from;
  if (way === "task-previous") return entries.slice(0, position).findLast((index) => run.steps[index].lane === lane) ?? from;
  const other = rows.lanes[rows.lanes.indexOf(lane) + (way === "down" ? 1 : -1)];
  return other === undefined ? from : nearest({ run, columns }, from, other);
}

/** The step of a lane whose column is the nearest. */
function nearest({ run, columns: { entries } }, from, lane) {
  const inLane = entries.filter((index) => run.steps[index].lane === lane);
  const before = lastUpTo(inLane, from);
  const [left, right] = [inLane[before], inLane[before + 1]];
  if (left === undefined || right === undefined) return left ?? right;
  const distance = (index) => Math.abs(lastUpTo(entries, index) - lastUpTo(entries, from));
  return distance(right) < distance(left) ? right : left;
}

/** The width of the heads beside a picture of some width. */
function headWidth(width) {
  return width < 560 ? 84 : Math.min(250, Math.max(150, Math.round(width * 0.19)));
}

/** A picture with its heads. */
function pictureOf(view, plane, title) {
  const ruler = view.columns.isTimed ? "Loop time (gaps not to scale)" : "";
  const heads = headsOf(view.run, view.rows, ruler);
  const element = make("div", { class: "run" }, heads, plane.element);
  const parts = title ? [make("h4", { class: "run-title" }, title), element] : [element];
  if (view.rows.hidden) {
    const count = view.rows.hidden;
    parts.push(make("p", { class: "hidden-lanes quiet" }, `${count} more ${count > 1 ? "lanes have" : "lane has"} no step in the story.`));
  }
  return make("div", { class: "run-with-title" }, ...parts);
}
