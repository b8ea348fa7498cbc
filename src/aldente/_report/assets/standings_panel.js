// Where each task is, and the values of what raced.

class StandingsPanel {
  /**
   * @param {Sources} sources
   * @param {function(number): void} go  called with a step to move to
   */
  constructor(sources, go) {
    this.sources = sources;
    this.go = go;
    this.rows = new Map();
    this.body = make("tbody", {});
    const heads = ["Task", "Is at", "State"].map((text) => make("th", { scope: "col" }, text));
    this.element = make("section", { class: "standings" }, make("h4", {}, "Where each task is"),
      make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.body));
  }

  /** @param {Run} run */
  show(run, moment) {
    if (run !== this.run) {
      this.run = run;
      this.rows.clear();
      this.body.replaceChildren();
    }
    run.lanes.forEach((lane, number) => {
      if (lane.kind !== "task") return;
      const standing = run.standing(number, moment);
      const row = this.#row(lane, number);
      row.element.hidden = !standing;
      if (standing) this.#fill(row, standing);
    });
  }

  #row(lane, number) {
    if (!this.rows.has(number)) {
      const row = { place: make("span", { class: "place" }), text: make("code", {}), state: make("td", {}) };
      row.name = make("button", { type: "button", class: "link", click: () => this.go(row.step) }, lane.name);
      row.element = make("tr", {}, make("th", { scope: "row" }, row.name, ...(lane.call ? [" ", make("code", {}, lane.call)] : [])),
        make("td", {}, row.place, " ", row.text), row.state);
      this.rows.set(number, row);
      this.body.append(row.element);
    }
    return this.rows.get(number);
  }

  #fill(row, standing) {
    row.step = standing.step;
    row.name.title = `Go to step ${this.run.steps[standing.step].number}`;
    row.element.className = standing.state;
    setText(row.place, standing.place ? this.run.placeName(standing.place) : "");
    setText(row.text, standing.place ? this.#textAt(standing.place) : "");
    setText(row.state, standing.words);
  }

  #textAt([file, number]) {
    for (const [first, lines] of this.sources[this.run.files[file]] ?? []) {
      if (number >= first && number < first + lines.length) return lines[number - first].trim();
    }
    return "";
  }
}

class ValuesPanel {
  constructor() {
    this.body = make("tbody", {});
    const heads = ["Name", "Value", "Last used in"].map((text) => make("th", { scope: "col" }, text));
    this.element = make("section", { class: "values" }, make("h4", {}, "Values of what tasks share"),
      make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.body));
  }

  /** @param {Run} run */
  show(run, moment) {
    const values = run.values(moment);
    this.element.hidden = !values.length;
    this.body.replaceChildren(...values.map((value) => this.#row(run, value)));
  }

  #row(run, { name, value, before, step, isNew }) {
    const shown = make("td", {});
    if (step < 0) shown.append(make("span", { class: "quiet" }, "not used yet"));
    else {
      if (isNew && before) shown.append(make("s", {}, before), " → ");
      shown.append(make("code", {}, value));
      if (isNew) shown.append(" ", make("span", { class: "note changed" }, "changed now"));
    }
    const since = step < 0 ? "" : `${run.titleOf(step)}, ${run.nameOf(step)}`;
    return make("tr", { class: isNew ? "changed" : "" }, make("th", { scope: "row" }, make("code", {}, name)), shown, make("td", {}, since));
  }
}
