// The lines between blocks: who waits, who is ready, who has made whom ready, what is out of date.

/**
 * The ways of the lines in a stretch of the picture, for the paths of an SVG.
 * @param {{run: Run, columns: Columns, rows: Rows}} view
 * @param {number} from
 * @param {number} to
 * @returns {Object<string, string>}  for each class of path, its way
 */
function waysOf(view, from, to) {
  const ways = { waits: "", ready: "", runs: "", late: "", stale: "", between: "", crossing: "", arrow: "", tip: "", end: "" };
  const [first, last] = view.columns.between(from, to);
  const stretch = { from: from - 20, to: to + 20, first, last };
  for (const lane of view.rows.lanes) {
    if (view.run.lanes[lane].kind === "task") addWaits(ways, view, lane, stretch);
  }
  for (let position = first; position <= last; position++) {
    const index = view.columns.entries[position];
    for (const woken of view.run.wakes.get(index) ?? []) addArrow(ways, view, woken);
    if (view.run.steps[index].until !== undefined) addLate(ways, view, index);
  }
  for (const race of view.run.races) addRace(ways, view, race, stretch);
  return ways;
}

function addWaits(ways, view, lane, { from, to }) {
  const { run, columns, rows } = view;
  const y = rows.middle(lane);
  const steps = run.stepsOf[lane];
  const begin = columns.entries[Math.max(0, lastUpTo(columns.left, from) - 1)] ?? 0;
  let at = Math.max(-1, lastUpTo(steps, begin) - 1);
  for (; at < steps.length; at++) {
    const before = steps[at] ?? -1;
    const next = steps[at + 1] ?? -1;
    const start = before < 0 ? undefined : columns.middleOf(before);
    if (start > to) break;
    if (before >= 0) addEnd(ways, view, before, y);
    if (before < 0 || !run.isEnd(before)) addWait(ways, view, { start, next, y, from, to });
  }
}

// From one step of a task to its next: thin up to what makes it ready, then thick.
function addWait(ways, { run, columns }, { start, next, y, from, to }) {
  const cut = (x) => Math.min(to, Math.max(from, x));
  if (next < 0) {
    if (start !== undefined) ways.waits += `M${cut(start)} ${y}H${cut(columns.width)}`;
    return;
  }
  const end = columns.middleOf(next);
  const waker = run.steps[next].woken_in;
  const turn = waker === undefined ? end : columns.middleOf(waker);
  if (end < from || (start ?? turn) > to) return;
  if (start !== undefined && turn > start) ways.waits += `M${cut(start)} ${y}H${cut(turn)}`;
  if (waker !== undefined) ways.ready += `M${cut(turn)} ${y}H${cut(end)}`;
}

// What has happened in a step, such as a note, hangs on it; the task ends behind that.
function addEnd(ways, { run, columns }, step, y) {
  let last = step;
  while (run.within[last + 1]) last++;
  if (last > step) ways.runs += `M${columns.middleOf(step)} ${y}H${columns.middleOf(last)}`;
  if (!run.isEnd(step) || columns.positionOf(last) < 0) return;
  const edge = columns.middleOf(last) + (run.steps[last].number ? columns.block / 2 : 8);
  ways.end += `M${edge + 6} ${y - 9}V${y + 9}`;
}

/** From a step down or up to the lane that it makes ready; nothing inside one lane. */
function addArrow(ways, { run, columns, rows }, woken) {
  const waker = run.steps[woken].woken_in;
  const [here, there] = [rows.middle(run.steps[waker].lane), rows.middle(run.steps[woken].lane)];
  if (here === there || there === undefined || here === undefined || columns.positionOf(waker) < 0) return;
  const x = columns.middleOf(waker);
  const down = Math.sign(there - here);
  ways.arrow += `M${x} ${here + down * (BLOCK / 2)}V${there - down * 7}`;
  ways.tip += `M${x - 4} ${there - down * 8}h8l-4 ${down * 7}z`;
}

function addLate(ways, { run, columns, rows }, index) {
  const step = run.steps[index];
  const y = rows.middle(step.lane);
  const end = columns.timeAt(step.until);
  const start = columns.middleOf(index) + 9;
  if (y !== undefined && end > start) ways.late += `M${start} ${y}H${end}`;
}

// A band from the read to the act, and a crossing where another task changes it in between.
function addRace(ways, { run, columns, rows }, race, { from, to }) {
  const y = rows.middle(race.lane);
  const [start, end] = [columns.middleOf(race.read), columns.middleOf(race.act)];
  if (y === undefined || start > to || end < from) return;
  ways.stale += `M${Math.max(start, from)} ${y}H${Math.min(end, to)}`;
  for (const change of race.changes) {
    const other = rows.middle(run.steps[change].lane);
    if (other === undefined || columns.positionOf(change) < 0) continue;
    const x = columns.middleOf(change);
    const down = Math.sign(y - other);
    ways.between += `M${x} ${other + down * (BLOCK / 2)}V${y - down * 6}`;
    ways.crossing += `M${x - 5} ${y - 5}l10 10m0 -10l-10 10`;
  }
}
