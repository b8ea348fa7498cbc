// The rows of a picture, one for each lane that has a step in it.

const RULER = 24;
const PART = 22;
const BLOCK = 22;

class Rows {
  /**
   * @param {Run} run
   * @param {number[]} entries  the indices of the steps that are shown
   * @param {{hasRuler: boolean, hasPart: boolean}} options  whether room is left above for times and gaps,
   *   and for the words where two runs part
   */
  constructor(run, entries, { hasRuler, hasPart }) {
    const shown = new Set(entries.map((index) => run.steps[index].lane));
    const withCaption = new Set(entries.filter((index) => captionOf(run.steps[index])).map((index) => run.steps[index].lane));
    this.lanes = run.lanes.map((_, lane) => lane).filter((lane) => shown.has(lane));
    this.hidden = run.lanes.length - this.lanes.length;
    this.part = hasPart ? PART : 0;
    this.ruler = this.part + (hasRuler ? RULER : 0);
    this.top = new Map();
    this.heights = new Map();
    let y = this.ruler;
    for (const lane of this.lanes) {
      const height = withCaption.has(lane) ? 57 : 42;
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
