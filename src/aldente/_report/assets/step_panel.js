// The step at the cursor, in words.

class StepPanel {
  /** @param {function(number): void} go  called with a step to move to */
  constructor(go) {
    this.go = go;
    this.element = make("section", { class: "step-panel" });
  }

  /** @param {Run} run */
  show(run, moment) {
    const step = run.steps[moment];
    const rows = this.#rows(run, moment, step).filter(([, ...values]) => values.length);
    this.element.replaceChildren(
      make("h4", {}, `${run.titleOf(moment)}: ${run.nameOf(moment)}`),
      make("p", { class: "words" }, step.words),
      this.#marks(step),
      make("dl", {}, ...rows.map(([name, ...values]) => make("div", {}, make("dt", {}, name), ...values.map((value) => make("dd", {}, value))))),
    );
  }

  #marks(step) {
    const found = marksOf(step).filter((mark) => mark !== "cancelled");
    return make("ul", { class: "marks" }, ...found.map((mark) => make("li", {}, badge(mark), ` ${this.#words(mark, step)}`)));
  }

  #words(mark, step) {
    if (mark !== "switch") return MARKS[mark][2];
    if (step.instead_of) return `left asyncio's order: asyncio would have run ${step.instead_of} here`;
    return "left asyncio's order";
  }

  #rows(run, moment, step) {
    const places = step.at ? [run.placeName(step.at)] : [];
    const waker = step.woken_in;
    return [
      [step.number ? "Then" : "Until", ...(step.then ? [step.then] : step.until !== undefined ? [timeText(step.until)] : [])],
      ["Reads and changes", ...(step.uses ?? []).map((use) => this.#use(run, use))],
      ["At", ...places],
      ["In", ...(step.callers?.length ? [make("code", {}, step.callers.join(" › "))] : [])],
      ["Made ready by", ...(waker === undefined ? [] : [this.#link(run, moment, waker)])],
      ["Makes ready", ...(run.wakes.get(moment) ?? []).slice(0, 6).map((index) => this.#link(run, moment, index))],
      ["Loop time", ...(run.isTimed ? [timeText(step.time)] : [])],
    ];
  }

  #use(run, use) {
    const found = make("span", { class: use.role ? "race" : "" });
    if (use.role in MARKS) found.append(badge(use.role), " ");
    found.append(use.words, " ", make("span", { class: "quiet" }, `(line ${use.at[1]})`));
    return found;
  }

  #link(run, moment, index) {
    const isSame = run.steps[index].lane === run.steps[moment].lane;
    const text = `${isSame ? "itself" : run.nameOf(index)}, ${run.titleOf(index).toLowerCase()}`;
    return make("button", { type: "button", class: "link", click: () => this.go(index) }, text);
  }
}
