// The page on paper: everything is open, and pictures are cut into strips as wide as the paper.

// A4 and Letter with their margins, in pixels.
const PAPER = 660;

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
  return () => {
    for (const details of closed) details.open = false;
    for (const element of strips) element.remove();
  };
}

/** The pictures of a failure as strips. */
function stripsOf(lanes) {
  const { options, run, stock, failure } = lanes;
  const isAnyTold = run.steps.some((step) => step.is_told);
  const told = options.told || (isAnyTold && run.steps.length > MANY);
  const views = viewsOf(run, options.beside ? stock : null, { ...options, told, part: failure.first_difference, room: 0 });
  const heads = 110;
  const paper = make("div", { class: "strips", "aria-hidden": "true" });
  for (const view of views) {
    if (views.length > 1) paper.append(make("h4", {}, view.run === stock ? "Asyncio's own order" : "This run"));
    for (const [from, to] of cuts(view.columns, PAPER - heads)) paper.append(strip(view, from, to, lanes));
  }
  return paper;
}

// Stretches of whole columns, each at most so wide.
function cuts({ left, width, column }, room) {
  const found = [];
  let from = 0;
  left.forEach((x, position) => {
    const end = position + 1 < left.length ? left[position + 1] : width;
    if (end - from > room && x > from) {
      found.push([from, x]);
      from = x;
    }
  });
  if (width - from > column / 2 || !found.length) found.push([from, width]);
  return found;
}

function strip(view, from, to, { name, cursor }) {
  const plane = new Plane(view, { name: `${name}-print-${from}`, label: "" });
  if (view.run === cursor.run && view.columns.positionOf(cursor.index) >= 0) plane.cursor = cursor.index;
  plane.draw(from, to);
  plane.element.style.marginLeft = `${-from}px`;
  return make("div", { class: "strip" }, headsOf(view.run, view.rows, view.columns.isTimed ? "Loop time" : ""),
    make("div", { class: "window", style: `width:${to - from}px` }, plane.element));
}
