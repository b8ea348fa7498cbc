// Where steps stand: a column for each, with gaps where steps are left out or time passes.

// With more steps only the last columns are widened for the words below their blocks, which are no longer than
// that.
const MOST_WIDENED = 120;
const MOST_OF_WORDS = 190;
const NARROWEST = 40;
const WIDEST = 96;
const GAP = 78;
// The width of the circle of an event.
const EVENT = 16;

/** Seconds as text: "3.5 s". */
function timeText(seconds) {
  return `${Number(seconds.toPrecision(6)).toLocaleString("en", { maximumSignificantDigits: 6 })} s`;
}

const measuring = document.createElement("canvas").getContext("2d");

/** The width of words below a block, in pixels. */
function widthOfWords(words) {
  measuring.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return measuring.measureText(words).width;
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
    const first = entries.length > MOST_WIDENED ? entries.length - 6 : 0;
    this.captions = entries.map((index, position) => (position < first ? "" : captionOf(run.steps[index])));
    this.#fit(room);
  }

  // The widest columns with which all steps are in sight; if there are none, the narrowest.
  #fit(room) {
    const least = Math.max(NARROWEST, 18 + 7.5 * String(this.run.total).length);
    const taken = this.gaps.reduce((total, gap) => total + gap.width, 8);
    const even = Math.floor((room - taken) / Math.max(1, this.entries.length));
    let column = Math.max(least, Math.min(WIDEST, even));
    this.set(column, this.#extraWith(column));
    while (column > least && this.width > room) {
      column = Math.max(least, column - 2);
      this.set(column, this.#extraWith(column));
    }
  }

  // How much wider each column has to be, so that words have room up to the next ones of their lane.
  #extraWith(column) {
    return this.captions.map((caption, position) => {
      if (!caption) return 0;
      const { lane, number } = this.run.steps[this.entries[position]];
      const isNext = (text, at) => at > position && text && this.run.steps[this.entries[at]].lane === lane;
      const next = this.captions.findIndex(isNext);
      const words = Math.min(MOST_OF_WORDS, widthOfWords(caption)) + (number ? 12 : 28);
      // The last words may go on behind the last column.
      return next < 0 ? 0 : Math.max(0, words - (next - position) * column);
    });
  }

  /** Lays the columns out with this width of each, and so much more for some of them. */
  set(column, extra) {
    this.column = column;
    this.extra = extra;
    this.block = Math.min(column - 7, 44);
    this.#place();
  }

  #findGaps() {
    const gaps = [];
    this.entries.forEach((index, position) => {
      const before = position ? this.entries[position - 1] : -1;
      this.#addLeftOut(gaps, before, index, position);
      if (this.isTimed && position) {
        const passed = this.run.steps[index].time - this.run.steps[before].time;
        if (passed > 0) gaps.push({ position, width: timeGap(passed), kind: "passing", text: `+${timeText(passed)}` });
      }
    });
    this.#addLeftOut(gaps, this.entries.at(-1), this.run.steps.length, this.entries.length);
    return gaps;
  }

  #addLeftOut(gaps, before, index, position) {
    let count = 0;
    for (let at = before + 1; at < index; at++) if (this.run.steps[at].number) count++;
    for (const [place, left] of this.run.leftOut) if (before < place && place <= index) count += left;
    if (count || index - before > 1) {
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
      if (position < this.entries.length) x += this.column + (this.extra[position] ?? 0);
    }
    this.width = x + 12;
    this.#placeLastWords();
  }

  // The last words of a lane stand to the left of their block's end if they would go beyond the last column and
  // have room there; else the picture becomes wider.
  #placeLastWords() {
    this.leaning = new Set();
    const before = new Map();
    const { width } = this;
    this.captions.forEach((caption, position) => {
      if (!caption) return;
      const { lane, number } = this.run.steps[this.entries[position]];
      const words = Math.min(MOST_OF_WORDS, widthOfWords(caption)) + 8;
      const start = this.left[position] + (this.column - (number ? this.block : EVENT)) / 2;
      if (start + words > width) {
        if (this.left[position] + this.column - words > (before.get(lane) ?? 0)) this.leaning.add(this.entries[position]);
        else this.width = Math.max(this.width, start + words);
      }
      before.set(lane, start + words);
    });
  }

  /** Where a column ends; the left edge of the picture for -1. */
  endOf(position) {
    return position < 0 ? 4 : this.left[position] + this.column + (this.extra[position] ?? 0);
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
    return this.endOf(position) + GAP / 2;
  }

  /** Where a time has come: the column of the first step that is not before it. */
  timeAt(seconds) {
    const position = this.entries.findIndex((index) => this.run.steps[index].time >= seconds);
    return position < 0 ? this.width : this.left[position];
  }

  /** The first and the last position in a stretch of the picture. */
  between(from, to) {
    const first = Math.max(0, lastUpTo(this.left, from));
    return [first, Math.min(this.entries.length - 1, lastUpTo(this.left, to))];
  }
}
