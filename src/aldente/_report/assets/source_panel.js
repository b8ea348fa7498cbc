// The source at the cursor: the line at which the running task goes on, and where the others stand.

class SourcePanel {
  /** @param {Sources} sources */
  constructor(sources) {
    this.sources = sources;
    // Neither a path nor that there is none.
    this.path = null;
    this.lines = new Map();
    this.marked = [];
    this.title = make("h4", {});
    this.code = make("div", { class: "code", tabindex: "0", role: "region", "aria-label": "Source" });
    this.element = make("section", { class: "source-panel" }, this.title, this.code);
  }

  /**
   * @param {Run} run
   * @param {number} moment  the step at the cursor
   */
  show(run, moment) {
    const step = run.steps[moment];
    const place = step.at ?? step.stop ?? step.uses?.[0]?.at;
    this.#open(place && run.files[place[0]]);
    for (const line of this.marked.splice(0)) this.#clear(line);
    if (!place) return;
    const isHere = (other) => other && run.files[other[0]] === this.path;
    this.#markRunning(run, moment, isHere);
    this.#markOthers(run, moment, isHere);
    this.#askToScroll(place[1]);
  }

  #open(path) {
    if (path === this.path) return;
    this.path = path;
    this.lines.clear();
    this.marked = [];
    setText(this.title, path ?? "Source");
    this.code.setAttribute("aria-label", path ? `Source: ${path}` : "Source");
    const excerpts = this.sources[path] ?? [];
    this.code.replaceChildren(...excerpts.flatMap((excerpt, number) => this.#excerpt(excerpt, number)));
    if (!excerpts.length) {
      const words = path ? "This file is not in the page." : "No line of the source is known for this step.";
      this.code.append(make("p", { class: "quiet" }, words));
    }
  }

  #excerpt([first, lines], number) {
    const rows = lines.map((text, offset) => {
      const notes = make("span", { class: "notes" });
      const row = make("div", { class: "line" },
        make("span", { class: "line-number" }, String(first + offset)), make("span", { class: "text" }, text), notes);
      this.lines.set(first + offset, { row, notes });
      return row;
    });
    return number ? [make("div", { class: "cut", "aria-hidden": "true" }, "⋮"), ...rows] : rows;
  }

  #clear({ row, notes }) {
    row.className = "line";
    row.removeAttribute("aria-current");
    notes.replaceChildren();
  }

  #mark(number, kind, words) {
    const line = this.lines.get(number);
    if (!line) return;
    line.row.classList.add(kind);
    line.notes.append(make("span", { class: `note ${kind}` }, words));
    this.marked.push(line);
  }

  #markRunning(run, moment, isHere) {
    const { at, stop, then, uses = [], number } = run.steps[moment];
    const name = run.nameOf(moment);
    if (isHere(at)) {
      this.#mark(at[1], "current", number ? `${name} ${run.lastStep(run.steps[moment].lane, moment - 1) < 0 ? "begins" : "goes on"}` : name);
      this.lines.get(at[1])?.row.setAttribute("aria-current", "step");
    }
    for (const use of uses) if (isHere(use.at)) this.#mark(use.at[1], use.role ? "race" : "use", use.words);
    if (isHere(stop) && then) this.#mark(stop[1], "stop", `${name} ${then}`);
  }

  #markOthers(run, moment, isHere) {
    const names = new Map();
    run.lanes.forEach((lane, number) => {
      if (lane.kind !== "task" || number === run.steps[moment].lane) return;
      const standing = run.standing(number, moment);
      if (!standing || standing.state === "ended" || !isHere(standing.place)) return;
      const line = standing.place[1];
      names.set(line, [...(names.get(line) ?? []), lane.name]);
    });
    for (const [line, found] of names) this.#mark(line, "other", `${inShort(found)} ${found.length > 1 ? "stand" : "stands"} here`);
  }

  /** Leaves out what is far from all marked lines; returns what undoes that. */
  cutForPaper() {
    const rows = [...this.lines.values()].map(({ row }) => row);
    const marked = rows.flatMap((row, number) => (row.className === "line" ? [] : [number]));
    const far = rows.filter((_, number) => !marked.some((near) => Math.abs(near - number) <= 4));
    for (const row of far) row.hidden = true;
    return () => {
      for (const row of far) row.hidden = false;
    };
  }

  // Before the next frame, as moves of the cursor may be quicker than frames.
  #askToScroll(number) {
    const isAsked = this.wanted !== undefined;
    this.wanted = number;
    if (isAsked) return;
    requestAnimationFrame(() => {
      this.#scrollTo(this.wanted);
      this.wanted = undefined;
    });
  }

  // Scrolls the code, never the page.
  #scrollTo(number) {
    const row = this.lines.get(number)?.row;
    if (!row) return;
    const top = row.offsetTop;
    const { scrollTop, clientHeight } = this.code;
    if (top < scrollTop + 24 || top > scrollTop + clientHeight - 48) this.code.scrollTop = top - clientHeight / 3;
  }
}

/** "A, B, C and 4 more". */
function inShort(names) {
  const most = 3;
  if (names.length <= most + 1) return names.join(", ");
  return `${names.slice(0, most).join(", ")} and ${names.length - most} more`;
}
