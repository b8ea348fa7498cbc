// The page on paper: everything is open, and pictures are cut into strips as wide as the paper.

// A4 and Letter with their margins, in pixels.
const PAPER = 660;
const HEADS = 150;

/** @param {LanesView[]} views */
function listenForPrinting(views) {
  let undo = null;
  const begin = () => (undo ??= prepare(views));
  const end = () => {
    undo?.();
    undo = null;
  };
  addEventListener("beforeprint", begin);
  addEventListener("afterprint", end);
  matchMedia("print").addEventListener("change", ({ matches }) => (matches ? begin() : end()));
}

function prepare(views) {
  const closed = [...document.querySelectorAll("details:not([open])")];
  for (const details of closed) details.open = true;
  const strips = views.map((view) => {
    const element = stripsOf(view);
    view.scroller.after(element);
    return element;
  });
  const wholes = views.map((view) => view.source.cutForPaper());
  return () => {
    for (const restore of wholes) restore();
    for (const details of closed) details.open = false;
    for (const element of strips) element.remove();
  };
}

/** The pictures of a failure as strips. */
function stripsOf(lanes) {
  const { options, run, stock, failure } = lanes;
  const isAnyTold = run.steps.some((step) => step.is_told);
  const told = options.told || (isAnyTold && run.steps.length > MANY);
  const views = viewsOf(run, options.beside ? stock : null, { ...options, told, part: failure.first_difference, room: PAPER - HEADS });
  const paper = make("div", { class: "strips", "aria-hidden": "true" });
  for (const view of views) {
    if (views.length > 1) paper.append(make("h4", {}, view.run === stock ? "Asyncio's own order" : "This run"));
    for (const [from, to] of cuts(view.columns, PAPER - HEADS)) paper.append(strip(view, from, to, lanes));
  }
  return paper;
}

// Stretches of whole columns, each at most so wide if it has more than one.
function cuts({ left, width, entries }, room) {
  const starts = [0];
  entries.forEach((_, position) => {
    const end = position + 1 < entries.length ? left[position + 1] : width;
    if (end - starts.at(-1) > room && left[position] > starts.at(-1)) starts.push(left[position]);
  });
  return starts.map((from, number) => [from, starts[number + 1] ?? Math.max(width, from + room)]);
}

function strip(view, from, to, { name, cursor }) {
  const plane = new Plane(view, { name: `${name}-print-${from}`, label: "" });
  if (view.run === cursor.run && view.columns.positionOf(cursor.index) >= 0) plane.cursor = cursor.index;
  plane.draw(from, to);
  plane.element.style.marginLeft = `${-from}px`;
  return make("div", { class: "strip" }, headsOf(view.run, view.rows, view.columns.isTimed ? "Loop time" : ""),
    make("div", { class: "window", style: `width:${to - from}px` }, plane.element));
}
