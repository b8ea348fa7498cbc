// The heads of the rows, which stay in sight.

/**
 * @param {Run} run
 * @param {Rows} rows
 * @param {string} rulerText  what the row above the lanes shows
 */
function headsOf(run, rows, rulerText) {
  const heads = make("div", { class: "heads", style: `height:${rows.height}px` });
  if (rows.ruler) heads.append(make("div", { class: "head ruler-head", style: `height:${rows.ruler}px` }, rulerText));
  for (const lane of rows.lanes) heads.append(headOf(run.lanes[lane], rows.heights.get(lane)));
  return heads;
}

function headOf(lane, height) {
  const first = make("span", { class: "who" }, make("b", {}, lane.name));
  if (lane.call) first.append(" ", make("code", {}, lane.call));
  const head = make("div", { class: `head ${lane.kind}`, style: `height:${height}px`, title: headWords(lane) }, first);
  const about = lane.creator ? `created by ${lane.creator}` : KINDS[lane.kind];
  if (about) head.append(make("span", { class: "creator" }, about));
  return head;
}

const KINDS = {
  task: "",
  thread: "jobs of executors",
  network: "the simulated network",
  loop: "callbacks, timers",
};

/** A lane's name, call and creator. */
function headWords({ name, call, creator }) {
  return [name, call, creator && `created by ${creator}`].filter(Boolean).join(", ");
}
