// The address follows the cursor, and the cursor the address: "#failure-1/7" is its 7th step.

/** @param {Map<string, LanesView>} views  for each id of a failure, its lanes */
function listenForAddresses(views) {
  addEventListener("hashchange", () => openAddress(views));
  openAddress(views);
}

function openAddress(views) {
  const [id, ...step] = location.hash.slice(1).split("/");
  if (!step.length) return;
  document.getElementById(id)?.scrollIntoView();
  views.get(id)?.goTo(step.join("/"));
}

let moved = null;

/** Writes where the cursor is into the address, once a frame: it takes longer than all else that a move does. */
function noteAddress(view) {
  if (moved === null) requestAnimationFrame(writeAddress);
  moved = view;
}

function writeAddress() {
  const view = moved;
  moved = null;
  try {
    history.replaceState(null, "", `#${view.name}/${view.address}`);
  } catch (error) {
    // Browsers refuse too many changes in a short time, and some any change of a file's address: the
    // cursor has moved nonetheless.
    if (!(error instanceof DOMException)) throw error;
  }
}
