// A run: its steps, and what can be asked about them at a moment.

/**
 * @typedef {{state: "runs"|"ready"|"waits"|"ended", words: string, place: ?Place, step: number}} Standing
 * @typedef {{read: number, act: number, changes: number[], lane: number}} Race
 */
class Run {
  /** @param {Lanes} data */
  constructor(data) {
    Object.assign(this, { files: data.files, lanes: data.lanes, steps: data.steps, total: data.total });
    /** Before which entries others are left out of the page, and how many. */
    this.leftOut = data.left_out;
    /** For each lane, the indices of its steps, without events. */
    this.stepsOf = data.lanes.map(() => []);
    /** For each step that has made others ready, those. */
    this.wakes = new Map();
    /** For each name, where it is used: indices and uses. */
    this.usesOf = new Map();
    this.addresses = [];
    this.indices = new Map();
    // Whether each entry is an event that has happened in the step before it, as a note does.
    this.within = [];
    this.withRole = { read: [], change: [], act: [] };
    data.steps.forEach((step, index) => this.#add(step, index));
    this.races = this.withRole.act.flatMap((act) => this.#raceOf(act));
    /** Whether loop time moves. */
    this.isTimed = data.steps.some((step) => step.time !== data.steps[0].time);
  }

  #add(step, index) {
    if (step.number) this.stepsOf[step.lane].push(index);
    if (step.woken_in !== undefined) {
      if (!this.wakes.has(step.woken_in)) this.wakes.set(step.woken_in, []);
      this.wakes.get(step.woken_in).push(index);
    }
    for (const use of step.uses ?? []) {
      if (!this.usesOf.has(use.name)) this.usesOf.set(use.name, { at: [], uses: [], hasValue: false });
      const found = this.usesOf.get(use.name);
      found.at.push(index);
      found.uses.push(use);
      found.hasValue ||= use.value !== "";
      const alike = this.withRole[use.role];
      if (alike && alike.at(-1) !== index) alike.push(index);
    }
    const before = this.steps[index - 1];
    const isEvent = !step.number && step.until === undefined;
    this.within.push(isEvent && before?.lane === step.lane && (before.number > 0 || this.within[index - 1]));
    this.#addAddress(step, index);
  }

  // A step is "7", the second event behind it "7.2".
  #addAddress(step, index) {
    const [last, events] = (this.addresses[index - 1] ?? "0").split(".");
    const address = step.number ? String(step.number) : `${last}.${Number(events ?? 0) + 1}`;
    this.addresses.push(address);
    this.indices.set(address, index);
  }

  // An act is charged to the last read of its lane, and to what others have changed since.
  #raceOf(act) {
    const { lane } = this.steps[act];
    const isOfLane = (index) => this.steps[index].lane === lane;
    const read = this.withRole.read.findLast((index) => index <= act && isOfLane(index));
    if (read === undefined) return [];
    const changes = this.withRole.change.filter((index) => index > read && index <= act && !isOfLane(index));
    return [{ read, act, changes, lane }];
  }

  /** "Step 7", or "Event after step 7". */
  titleOf(index) {
    const { number } = this.steps[index];
    if (number) return `Step ${number}`;
    const last = this.addresses[index].split(".")[0];
    return last === "0" ? "Event at the beginning" : `Event after step ${last}`;
  }

  /** The name of a step's lane. */
  nameOf(index) {
    return this.lanes[this.steps[index].lane].name;
  }

  /** "file:line", with the last part of the path. */
  placeName(place) {
    return `${this.files[place[0]].split("/").at(-1)}:${place[1]}`;
  }

  /** Whether a task ends with a step. */
  isEnd(index) {
    return /^ends( with |$)/.test(this.steps[index].then ?? "");
  }

  /** The last step of a lane up to a moment; -1 if it has not begun. */
  lastStep(lane, moment) {
    const steps = this.stepsOf[lane];
    return steps[lastUpTo(steps, moment)] ?? -1;
  }

  /** The first step of a lane behind a moment; -1 if none follows. */
  nextStep(lane, moment) {
    const steps = this.stepsOf[lane];
    return steps[lastUpTo(steps, moment) + 1] ?? -1;
  }

  /**
   * Where a task stands when a step has been taken; null if it is not created yet.
   * @returns {?Standing}
   */
  standing(lane, moment) {
    const last = this.lastStep(lane, moment);
    const next = this.nextStep(lane, moment);
    const isReady = next >= 0 && (this.steps[next].woken_in ?? Infinity) <= moment;
    if (last < 0) {
      const place = this.lanes[lane].place;
      return isReady ? { state: "ready", words: "is created, has not begun", place, step: next } : null;
    }
    const { at, stop, then = "" } = this.steps[last];
    const place = stop ?? at ?? null;
    const isNow = last === moment || (this.steps[moment].lane === lane && this.within[moment]);
    if (isNow) return { state: "runs", words: then ? `runs, then ${then}` : "runs", place: at ?? null, step: last };
    if (this.isEnd(last)) return { state: "ended", words: then.replace(/^ends/, "has ended"), place: null, step: last };
    if (isReady) return { state: "ready", words: "is ready, waits for its turn", place, step: last };
    return { state: "waits", words: then || "waits", place, step: last };
  }

  /**
   * The last known value of each name that has one, when a step has been taken.
   * @returns {{name: string, value: string, before: string, step: number, isNew: boolean}[]}
   */
  values(moment) {
    const found = [];
    for (const [name, { at, uses, hasValue }] of this.usesOf) {
      if (!hasValue) continue;
      let last = lastUpTo(at, moment);
      while (last >= 0 && !uses[last].value) last--;
      const isNew = last >= 0 && at[last] === moment && uses[last].is_change;
      let before = last - 1;
      while (before >= 0 && !uses[before].value) before--;
      found.push({ name, isNew, step: at[last] ?? -1, value: uses[last]?.value ?? "", before: uses[before]?.value ?? "" });
    }
    return found;
  }

  /** The step at which one looks first: where asyncio's order is left, a race, the failure, the end. */
  beginning() {
    const is = (mark) => (step) => step.marks?.includes(mark);
    const tries = [is("switch"), (step) => step.uses?.some((use) => use.role), is("failing")];
    const found = tries.map((test) => this.steps.findIndex(test)).find((index) => index >= 0);
    return found ?? this.steps.length - 1;
  }
}
