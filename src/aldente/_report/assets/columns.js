// Where steps stand: a column for each, gaps where steps are left out or time passes, a row for each lane.

const NARROWEST = 40;
const WIDEST = 96;
const GAP = 78;
const RULER = 24;
const BLOCK = 22;

/** Seconds as text: "3.5 s". */
function timeText(seconds) {
  return `${Number(seconds.toPrecision(6)).toLocaleString("en", { maximumSignificantDigits: 6 })} s`;
}

/** The width of the gap in which some seconds pass: wider for more, but not to scale. */
function timeGap(seconds) {
  return Math.min(110, 46 + 10 * Math.log2(1 + seconds));
}

class Columns {
  /**
   * @param {Run} run
   * @param {number[]} entries  the indices of the steps that are shown
   * @param {{isTimed: boolean, room: number}} options  `room`: the width there is, in pixels
   */
  constructor(run, entries, { isTimed, room }) {
    this.run = run;
    this.entries = entries;
    this.isTimed = isTimed;
    /** @type {{position: number, width: number, text: string, kind: string, x: number}[]} */
    this.gaps = entries.length ? this.#findGaps() : [];
    const taken = this.gaps.reduce((sum, gap) => sum + gap.width, 0);
    const least = Math.max(NARROWEST, 18 + 7.5 * String(run.total).length);
    const most = Math.floor((room - taken - 8) / Math.max(1, entries.length));
    this.narrowTo(Math.max(least, Math.min(WIDEST, most)));
  }

  /** Lays the columns out with this width of each. */
  narrowTo(column) {
    if (column === this.column) return;
    this.column = column;
    this.block = Math.min(column - 8, 44);
    this.#place();
  }

  #findGaps() {
    const gaps = [];
    this.entries.forEach((index, position) => {
      const before = position ? this.entries[position - 1] : -1;
      this.#addLeftOut(gaps, before, index, position);
      if (this.isTimed && position) {
        const passed = this.run.steps[index].time - this.run.steps[before].time;
        if (passed > 0) gaps.push({ position, width: timeGap(passed), kind: "time", text: `+${timeText(passed)}` });
      }
    });
    this.#addLeftOut(gaps, this.entries.at(-1), this.run.steps.length, this.entries.length);
    return gaps;
  }

  #addLeftOut(gaps, before, index, position) {
    let count = 0;
    for (let at = before + 1; at < index; at++) if (this.run.steps[at].number) count++;
    const isCut = this.run.leftOut && before < this.run.leftOutBefore && index >= this.run.leftOutBefore;
    if (isCut) count += this.run.leftOut;
    if (index - before > 1 || isCut) {
      const text = count ? `${count.toLocaleString("en")} step${count > 1 ? "s" : ""}` : "event";
      gaps.push({ position, width: GAP, kind: "left-out", text });
    }
  }

  // The columns' left edges, and those of the gaps before them.
  #place() {
    this.left = new Float64Array(this.entries.length + 1);
    let x = 4;
    let gap = 0;
    for (let position = 0; position <= this.entries.length; position++) {
      for (; this.gaps[gap]?.position === position; gap++) {
        this.gaps[gap].x = x;
        x += this.gaps[gap].width;
      }
      this.left[position] = x;
      if (position < this.entries.length) x += this.column;
    }
    this.width = x + 4;
  }

  /** The position of a step's column; -1 if it is not shown. */
  positionOf(index) {
    const position = lastUpTo(this.entries, index);
    return this.entries[position] === index ? position : -1;
  }

  /** The middle of a step's column; of the gap in which it is left out, if it is. */
  middleOf(index) {
    const position = lastUpTo(this.entries, index);
    if (this.entries[position] === index) return this.left[position] + this.column / 2;
    const end = position < 0 ? 4 : this.left[position] + this.column;
    return end + GAP / 2;
  }

  /** Where a time has come: the column of the first step that is not before it. */
  timeAt(seconds) {
    const position = this.entries.findIndex((index) => this.run.steps[index].time >= seconds);
    return position < 0 ? this.width : this.left[position];
  }

  /** The first and the last position in a stretch of the picture. */
  between(from, to) {
    const first = Math.max(0, lastUpTo(this.left, from - this.column));
    return [first, Math.min(this.entries.length - 1, lastUpTo(this.left, to))];
  }
}

class Rows {
  /**
   * @param {Run} run
   * @param {number[]} entries  the indices of the steps that are shown
   * @param {boolean} hasRuler  whether room is left above for times and gaps
   */
  constructor(run, entries, hasRuler) {
    const shown = new Set(entries.map((index) => run.steps[index].lane));
    const withCaption = new Set(entries.filter((index) => captionOf(run.steps[index])).map((index) => run.steps[index].lane));
    this.lanes = run.lanes.map((_, lane) => lane).filter((lane) => shown.has(lane));
    this.hidden = run.lanes.length - this.lanes.length;
    this.ruler = hasRuler ? RULER : 0;
    this.top = new Map();
    this.heights = new Map();
    let y = this.ruler;
    for (const lane of this.lanes) {
      const height = withCaption.has(lane) ? 56 : 40;
      this.top.set(lane, y);
      this.heights.set(lane, height);
      y += height;
    }
    this.height = y + 2;
  }

  /** The top of a lane's blocks. */
  blockTop(lane) {
    return this.top.get(lane) + 10;
  }

  /** The middle of a lane's blocks; undefined if the lane is not shown. */
  middle(lane) {
    return this.top.has(lane) ? this.blockTop(lane) + BLOCK / 2 : undefined;
  }
}
