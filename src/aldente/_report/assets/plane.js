// The picture of a run: its blocks and lines, of which only those in a stretch are there.

class Plane {
  /**
   * @param {{run: Run, columns: Columns, rows: Rows}} view
   * @param {{name: string, label: string, part?: {before: number, text: string}, pick?: function(number): void}} options
   *   `name`: what the ids begin with; `part`: where two runs part; `pick`: called with the step that is clicked
   */
  constructor(view, { name, label, part, pick }) {
    Object.assign(this, { view, name, part, pick, cursor: -1, blocks: new Map(), spare: [] });
    this.lines = makeSvg("svg", { class: "lines", "aria-hidden": "true" });
    this.paths = {};
    for (const kind of ["stale", "waits", "ready", "runs", "late", "arrow", "tip", "now", "now-tip", "between", "crossing", "end"]) {
      this.paths[kind] = makeSvg("path", { class: kind });
      this.lines.append(this.paths[kind]);
    }
    this.band = make("div", { class: "band", "aria-hidden": "true" });
    this.ruler = make("div", { class: "ruler", "aria-hidden": "true" });
    const { width } = view.columns;
    const style = `width:${width}px;height:${view.rows.height}px`;
    this.element = make("div", { class: "plane", style }, this.band, this.ruler, this.lines);
    if (pick) this.#listen(label);
  }

  #listen(label) {
    const attributes = { role: "listbox", tabindex: "0", "aria-label": label, "aria-orientation": "horizontal" };
    for (const [key, value] of Object.entries(attributes)) this.element.setAttribute(key, value);
    this.element.addEventListener("click", (event) => {
      const block = event.target.closest("[role=option]");
      if (block) this.pick(Number(block.dataset.index));
    });
  }

  /** Draws a stretch, in pixels of the plane, and takes away what is outside. */
  draw(from, to) {
    const { columns, rows } = this.view;
    const [low, high] = [Math.max(0, from), Math.min(columns.width, to)];
    this.stretch = [low, this.pick ? high : to];
    const { style } = this.lines;
    [style.left, style.width, style.height] = [`${low}px`, `${Math.max(0, high - low)}px`, `${rows.height}px`];
    this.lines.setAttribute("viewBox", `${low} 0 ${Math.max(1, high - low)} ${rows.height}`);
    for (const [kind, way] of Object.entries(waysOf(this.view, low, high))) this.paths[kind].setAttribute("d", way);
    this.#drawBlocks(...columns.between(low, high));
    this.#drawRuler(low, high);
  }

  #drawBlocks(first, last) {
    const { entries } = this.view.columns;
    const wanted = new Set(entries.slice(first, last + 1));
    if (this.cursor >= 0) wanted.add(this.cursor);
    for (const [index, block] of this.blocks) {
      if (wanted.has(index)) continue;
      this.blocks.delete(index);
      this.spare.push(block);
    }
    for (const index of wanted) if (!this.blocks.has(index)) this.#addBlock(index);
    for (const block of this.spare.splice(0)) block.remove();
  }

  #addBlock(index) {
    const block = this.spare.pop() ?? make("div", this.pick ? { role: "option" } : {});
    this.#fill(block, index);
    this.blocks.set(index, block);
    if (!block.isConnected) this.element.append(block);
  }

  #fill(block, index) {
    const { run, columns, rows } = this.view;
    const step = run.steps[index];
    const position = columns.positionOf(index);
    const width = step.number ? columns.block : EVENT;
    const left = columns.left[position] + (columns.column - width) / 2;
    block.id = `${this.name}-step-${run.addresses[index]}`;
    block.dataset.index = index;
    block.className = ["block", step.number ? "" : "event", ...(step.marks ?? [])].join(" ");
    block.style.cssText = `left:${left}px;top:${rows.blockTop(step.lane)}px;width:${width}px`;
    if (this.pick) {
      block.setAttribute("aria-selected", String(index === this.cursor));
      block.setAttribute("aria-label", labelOf(run, index));
      block.setAttribute("aria-posinset", position + 1);
      block.setAttribute("aria-setsize", columns.entries.length);
    }
    block.replaceChildren(make("span", {}, step.number ? String(step.number) : ""), ...this.#notes(step, index, left));
    block.classList.toggle("at-cursor", index === this.cursor);
  }

  // The badges of a block, and the words below it, as far as its lane has room up to the next block.
  #notes(step, index, left) {
    const marks = marksOf(step);
    const notes = marks.length ? [make("span", { class: "badges" }, ...marks.map(badge))] : [];
    const caption = captionOf(step);
    const isWhole = this.pick || left - MOST_OF_WORDS > this.stretch[0];
    const isLeaning = isWhole && this.view.columns.leaning.has(index);
    const room = isLeaning ? MOST_OF_WORDS : this.#room(index) - left;
    if (caption && room >= 46) {
      const name = isLeaning ? "caption leaning" : "caption";
      notes.push(make("span", { class: name, style: `max-width:${room}px`, title: caption }, caption));
    }
    return notes;
  }

  // Where the next words of a lane may begin.
  #room(index) {
    const { run, columns } = this.view;
    const { lane } = run.steps[index];
    for (let position = columns.positionOf(index) + 1; position < columns.entries.length; position++) {
      const other = run.steps[columns.entries[position]];
      if (columns.left[position] - columns.left[columns.positionOf(index)] > 420) break;
      if (other.lane === lane && captionOf(other)) return columns.left[position] + (columns.column - columns.block) / 2 - 4;
    }
    const edge = this.pick ? columns.width : this.stretch[1] - 8;
    return Math.min(edge, columns.middleOf(index) + 420);
  }

  #drawRuler(low, high) {
    const { columns, rows } = this.view;
    const parts = [];
    for (const gap of columns.gaps) {
      if (gap.x + gap.width < low || gap.x > high) continue;
      const style = `left:${gap.x}px;width:${gap.width}px;top:${rows.part}px;height:${rows.height - rows.part}px`;
      parts.push(make("div", { class: `gap ${gap.kind}`, style }, make("span", {}, gap.text)));
    }
    if (columns.isTimed) parts.push(...this.#times(low, high));
    if (this.part) parts.push(this.#partLine());
    this.ruler.replaceChildren(...parts);
  }

  // The time stands above the first step of each moment.
  #times(low, high) {
    const { run, columns, rows } = this.view;
    const [first, last] = columns.between(low, high);
    const found = [];
    for (let position = first; position <= last; position++) {
      const { time } = run.steps[columns.entries[position]];
      const isNew = !position || run.steps[columns.entries[position - 1]].time !== time;
      if (isNew) found.push(make("span", { class: "time", style: `left:${columns.left[position] + 3}px;top:${rows.part}px` }, timeText(time)));
    }
    return found;
  }

  // The line stands behind the common beginning, which is aligned, so at the same place in both runs.
  #partLine() {
    const { columns, rows } = this.view;
    const x = columns.endOf(lastUpTo(columns.entries, this.part.before - 1));
    const style = `left:${x - 1}px;height:${rows.height}px`;
    const isAtEnd = x > columns.width - 160;
    return make("div", { class: `part${isAtEnd ? " at-end" : ""}`, style }, make("span", {}, this.part.text));
  }

  /** Moves the cursor; -1 takes it away. Only what it leaves and what it enters is drawn anew. */
  setCursor(index) {
    const before = this.blocks.get(this.cursor);
    before?.classList.remove("at-cursor");
    before?.setAttribute("aria-selected", "false");
    this.cursor = index;
    if (index >= 0 && !this.blocks.has(index)) this.#addBlock(index);
    const block = this.blocks.get(index);
    block?.classList.add("at-cursor");
    if (this.pick) {
      block?.setAttribute("aria-selected", "true");
      if (block) this.element.setAttribute("aria-activedescendant", block.id);
      else this.element.removeAttribute("aria-activedescendant");
    }
    this.#drawBand();
  }

  // The cursor's column, and who has made its step ready.
  #drawBand() {
    const { run, columns } = this.view;
    const ways = { arrow: "", tip: "" };
    this.band.hidden = this.cursor < 0;
    if (this.cursor >= 0) {
      const left = columns.left[columns.positionOf(this.cursor)];
      this.band.style.cssText = `left:${left}px;width:${columns.column}px`;
      if (run.steps[this.cursor].woken_in !== undefined) addArrow(ways, this.view, this.cursor);
    }
    this.paths.now.setAttribute("d", ways.arrow);
    this.paths["now-tip"].setAttribute("d", ways.tip);
  }
}
