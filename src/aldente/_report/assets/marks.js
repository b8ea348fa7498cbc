// What is special about a step: its letters, its words, and the legend.

// For each mark: its class, its letter, its words.
const MARKS = {
  switch: ["switch", "", "here the run leaves asyncio's own order"],
  cancelled: ["cancelled", "×", "is cancelled"],
  failing: ["failing", "!", "the exception that fails the test is raised"],
  read: ["race", "R", "reads a value that is out of date when it is used"],
  change: ["race", "C", "changes it in between"],
  act: ["race", "A", "acts on the value that it has read"],
};

/** The keys of MARKS that a step has, in their order. */
function marksOf(step) {
  const roles = (step.uses ?? []).map((use) => use.role);
  return Object.keys(MARKS).filter((mark) => step.marks?.includes(mark) || roles.includes(mark));
}

/** The few words that stand below a block; empty if nothing is special about it. */
function captionOf(step) {
  const marks = step.marks ?? [];
  const parts = (step.uses ?? []).filter((use) => use.role).map((use) => use.words);
  if (marks.includes("event")) parts.push(step.words);
  else if (marks.includes("switch")) parts.push(step.instead_of ? `instead of ${step.instead_of}` : "out of turn");
  if (marks.includes("cancelled")) parts.push("is cancelled");
  if (marks.includes("failing") && step.then) parts.push(step.then);
  return parts.join(" · ");
}

/** What a screen reader says of a step. */
function labelOf(run, index) {
  const step = run.steps[index];
  const title = step.number ? `Step ${step.number}, ` : "Event, ";
  const parts = [`${title}${run.nameOf(index)}: ${step.words}`, ...(step.uses ?? []).map((use) => use.words)];
  if (step.then) parts.push(`then ${step.then}`);
  for (const mark of marksOf(step)) {
    if (mark in { switch: 1, failing: 1 }) parts.push(MARKS[mark][2].split(":")[0]);
  }
  return parts.join("; ");
}

/** The badge of a mark. */
function badge(mark) {
  const [name, letter] = MARKS[mark];
  return make("span", { class: `badge ${name}`, "aria-hidden": "true" }, letter);
}

/**
 * The legend of what occurs in some runs.
 * @param {Run[]} runs
 */
function legendOf(runs) {
  const steps = runs.flatMap((run) => run.steps);
  const seen = new Set(steps.flatMap(marksOf));
  const rows = [
    [make("span", { class: "sample block" }, "7"), "a step, with its number in the run: from one await of the task to the next"],
    [line("waits"), "the task waits"],
    [line("ready"), "the task is ready, and waits for its turn"],
  ];
  if (runs.some((run) => run.wakes.size)) rows.push([line("arrow"), "makes the other task ready: it creates, wakes or cancels it"]);
  if (steps.some((step) => /^ends/.test(step.then ?? ""))) rows.push([line("end"), "the task ends"]);
  if (steps.some((step) => !step.number)) rows.push([make("span", { class: "sample block event" }), "no step, but something that happens: a note of the test's, a fault, a wait that takes longer"]);
  if (runs.some((run) => run.within.includes(true))) rows.push([line("runs"), "in the step: it happens while the task runs"]);
  if (steps.some((step) => step.until)) rows.push([line("late"), "how long the wait takes instead"]);
  if (steps.some((step) => !step.is_told) || runs.some((run) => run.leftOut.length)) rows.push([make("span", { class: "sample gap left-out" }), "steps that are left out here, and how many"]);
  for (const mark of Object.keys(MARKS)) if (seen.has(mark)) rows.push([badge(mark), MARKS[mark][2]]);
  if (runs.some((run) => run.races.length)) rows.push([line("stale"), "between both: the value read may be out of date"]);
  return make("dl", { class: "legend" }, ...rows.map(([sample, words]) => make("div", {}, make("dt", {}, sample), make("dd", {}, words))));
}

/** A line of the picture, for the legend. */
function line(name) {
  const ways = {
    waits: ["M0 8H36", "waits"],
    ready: ["M0 8H36", "ready"],
    arrow: ["M18 0V11", "arrow"],
    end: ["M0 8H17", "waits"],
    runs: ["M0 8H36", "runs"],
    late: ["M0 8H36", "late"],
    stale: ["M0 8H36", "stale"],
  };
  const [way, style] = ways[name];
  const svg = makeSvg("svg", { class: "lines sample", width: 36, height: 16, "aria-hidden": "true" }, makeSvg("path", { class: style, d: way }));
  if (name === "arrow") svg.append(makeSvg("path", { class: "tip", d: "M14 10h8l-4 6z" }));
  if (name === "end") svg.append(makeSvg("path", { class: "end", d: "M18 2V14" }));
  return svg;
}
