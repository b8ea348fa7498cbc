// The lanes of one failure: picture, cursor, and what is true at the cursor.

// From so many steps on, only those of the story are shown at first.
const MANY = 60;

class LanesView {
  /**
   * @param {HTMLElement} section
   * @param {Failure} failure
   * @param {{sources: Sources, name: string, title: string, moved: function(LanesView): void}} options
   *   `name`: the id of the failure; `title`: that of the test; `moved`: called when somebody moves the cursor
   */
  constructor(section, failure, { sources, name, title, moved }) {
    Object.assign(this, { section, failure, name, title, moved });
    this.run = new Run(failure.lanes);
    this.stock = failure.stock ? new Run(failure.stock) : null;
    const isAnyTold = failure.lanes.steps.some((step) => step.is_told);
    this.options = { time: false, told: isAnyTold && failure.lanes.steps.length > MANY, beside: false };
    this.cursor = { run: this.run, index: this.run.beginning() };
    this.controls = new Controls(this, this.#switches(isAnyTold));
    this.scroller = make("div", { class: "scroller" });
    this.parting = make("p", { class: "parting", hidden: true });
    const go = (index) => this.go(this.cursor.run, index);
    this.source = new SourcePanel(sources);
    this.panels = [new StepPanel(go), this.source, new ValuesPanel(), new StandingsPanel(sources, go)];
    this.status = make("p", { class: "unseen", role: "status" });
    section.replaceChildren(this.controls.element, this.parting, this.scroller, this.status, this.#help(),
      make("div", { class: "at-cursor-panels" }, ...this.panels.map((panel) => panel.element)));
    this.#listen();
    this.layOut();
    this.#show();
  }

  #switches(isAnyTold) {
    const all = [
      { key: "told", text: "Only the steps of the story", isThere: isAnyTold && this.run.steps.some((step) => !step.is_told) },
      { key: "time", text: "Loop time", isThere: this.run.isTimed },
      { key: "beside", text: "Beside stock order", isThere: this.stock !== null },
    ];
    return all.filter((one) => one.isThere).map((one) => ({ ...one, isOn: this.options[one.key] }));
  }

  #help() {
    return make("details", { class: "help" }, make("summary", {}, "Legend and keys"),
      legendOf([this.run, ...(this.stock ? [this.stock] : [])]), keysOfLanes());
  }

  #listen() {
    let isAsked = false;
    this.scroller.addEventListener("scroll", () => {
      this.#see();
      if (isAsked) return;
      isAsked = true;
      requestAnimationFrame(() => {
        isAsked = false;
        this.#drawVisible();
      });
    });
    let width = 0;
    new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width && Math.abs(contentRect.width - width) > 2) {
        if (width) this.layOut();
        width = contentRect.width;
      }
    }).observe(this.section);
    this.section.addEventListener("keydown", (event) => this.#press(event));
  }

  // Keeps what is in sight: to ask for it after a change would lay the page out at each move of the cursor.
  #see() {
    const { scrollLeft: left, scrollTop: top, clientWidth: width, clientHeight: height } = this.scroller;
    this.sight = { left, top, width, height };
  }

  /** Lays the pictures out anew, after a change of what is shown or of the width. */
  layOut() {
    this.#see();
    this.scroller.style.setProperty("--heads", `${headWidth(this.sight.width)}px`);
    this.pictures = this.#views().map((view) => this.#picture(view));
    this.scroller.replaceChildren(...this.pictures.map((picture) => picture.element));
    this.parting.hidden = !this.options.beside;
    if (this.options.beside) setText(this.parting, partingWords(this.run, this.stock, this.failure.first_difference));
    this.#see();
    for (const picture of this.pictures) picture.top = picture.plane.element.offsetTop;
    this.#drawVisible();
    for (const { plane, view } of this.pictures) plane.setCursor(view.run === this.cursor.run ? this.cursor.index : -1);
    this.#scrollToCursor();
  }

  #views() {
    const room = this.sight.width - headWidth(this.sight.width);
    return viewsOf(this.run, this.options.beside ? this.stock : null, { ...this.options, part: this.failure.first_difference, room });
  }

  #picture(view) {
    const isStock = view.run === this.stock;
    const plane = new Plane(view, {
      name: isStock ? `${this.name}-stock` : this.name,
      label: isStock ? `Steps in asyncio's own order: ${this.title}` : `Steps: ${this.title}`,
      part: this.options.beside ? { before: this.failure.first_difference, text: "the runs part here" } : undefined,
      pick: (index) => this.go(view.run, index),
    });
    return { view, plane, element: pictureOf(view, plane, this.options.beside ? (isStock ? "Asyncio's own order" : "This run") : "") };
  }

  #drawVisible() {
    const { left, width } = this.sight;
    for (const { plane } of this.pictures) {
      const [from, to] = plane.stretch ?? [1, 0];
      const end = Math.min(left + width, plane.view.columns.width);
      if (left < from || end > to) plane.draw(left - width, left + 2 * width);
    }
  }

  /** Changes what is shown: "time", "told" or "beside". */
  set(key, isOn) {
    this.options[key] = isOn;
    if (key === "beside" && !isOn && this.cursor.run === this.stock) {
      this.cursor = { run: this.run, index: Math.min(this.cursor.index, this.run.steps.length - 1) };
    }
    this.#keepCursorShown();
    this.layOut();
    this.#show();
  }

  #keepCursorShown() {
    const view = this.#views().find((one) => one.run === this.cursor.run);
    const { entries } = view.columns;
    if (view.columns.positionOf(this.cursor.index) < 0) {
      this.cursor.index = entries[Math.max(0, lastUpTo(entries, this.cursor.index))];
    }
  }

  /** Moves the cursor to a step, which is shown then. */
  go(run, index, isByUser = true) {
    if (run === this.stock && !this.options.beside) this.#turn("beside", true);
    const isShown = this.pictures.some(({ view }) => view.run === run && view.columns.positionOf(index) >= 0);
    if (!isShown) this.#turn("told", false);
    this.cursor = { run, index };
    for (const { plane, view } of this.pictures) plane.setCursor(view.run === run ? index : -1);
    this.#scrollToCursor();
    this.#show();
    if (isByUser) this.moved(this);
    // A screen reader says the active step of a list that has the focus by itself.
    if (document.activeElement?.getAttribute("role") !== "listbox") setText(this.status, labelOf(run, index));
  }

  #turn(key, isOn) {
    this.options[key] = isOn;
    if (this.controls.boxes[key]) this.controls.boxes[key].checked = isOn;
    this.layOut();
  }

  /** Moves the cursor: "first", "previous", "next", "last", "up", "down", "task-previous", "task-next". */
  move(way) {
    const { view } = this.pictures.find((picture) => picture.view.run === this.cursor.run);
    const index = stepTowards(view, this.cursor.index, way);
    if (index !== this.cursor.index) this.go(view.run, index);
  }

  #press(event) {
    const way = event.target.getAttribute("role") === "listbox" && wayOf(event, WAYS);
    if (!way) return;
    event.preventDefault();
    this.move(way);
  }

  #show() {
    const { run, index } = this.cursor;
    for (const panel of this.panels) panel.show(run, index);
    const { entries } = this.pictures.find(({ view }) => view.run === run).view.columns;
    const isFirst = index === entries[0];
    const total = run.total.toLocaleString("en");
    this.controls.show({ isFirst, isLast: index === entries.at(-1), text: `${run.titleOf(index)} of ${total}` });
  }

  #scrollToCursor() {
    const { view, top } = this.pictures.find((picture) => picture.view.run === this.cursor.run);
    const { columns, rows } = view;
    const { sight, scroller } = this;
    const room = sight.width - headWidth(sight.width);
    const x = columns.left[columns.positionOf(this.cursor.index)];
    if (x < sight.left + 8 || x + columns.column > sight.left + room - 8) {
      scroller.scrollLeft = Math.max(0, x - room / 3);
      this.#see();
      this.#drawVisible();
    }
    const y = top + rows.top.get(view.run.steps[this.cursor.index].lane);
    if (y < sight.top || y + 50 > sight.top + sight.height) scroller.scrollTop = y - sight.height / 2;
  }

  /** What stands behind "#failure-1/" in an address: "7", or "stock/7". */
  get address() {
    const address = this.cursor.run.addresses[this.cursor.index];
    return this.cursor.run === this.stock ? `stock/${address}` : address;
  }

  /** Moves the cursor to what an address names; whether there is such a step. */
  goTo(address) {
    const parts = address.split("/");
    const run = parts.length > 1 && parts[0] === "stock" ? this.stock : this.run;
    const index = run?.indices.get(parts.at(-1));
    if (index !== undefined) this.go(run, index, false);
    return index !== undefined;
  }
}
