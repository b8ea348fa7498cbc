// The keys: those of the lanes, those of the page, and the list of both.

const WAYS = {
  ArrowLeft: "previous",
  ArrowRight: "next",
  ArrowUp: "up",
  ArrowDown: "down",
  Home: "first",
  End: "last",
  ",": "task-previous",
  ".": "task-next",
};

/** What a key press means; undefined with a modifier, or while somebody types. */
function wayOf(event, ways) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return undefined;
  const isTyping = event.target.closest?.("textarea, select, [contenteditable], input:not([type=checkbox])");
  return isTyping ? undefined : ways[event.key];
}

const KEYS_OF_LANES = [
  [["←", "→"], "previous, next step"],
  [["↑", "↓"], "nearest step in the lane above, below"],
  [[",", "."], "previous, next step of the same lane"],
  [["Home", "End"], "first, last step"],
];

const KEYS_OF_PAGE = [
  [["j", "k"], "next, previous failure"],
  [["?"], "this list"],
];

function keyRows(rows) {
  return rows.map(([keys, words]) =>
    make("div", {}, make("dt", {}, ...keys.flatMap((key) => [make("kbd", {}, key), " "])), make("dd", {}, words)));
}

/** The keys of the lanes, for their legend. */
function keysOfLanes() {
  return make("div", {}, make("p", { class: "quiet" }, "With the focus in the lanes (the arrows left and right also with the pointer there):"),
    make("dl", { class: "keys" }, ...keyRows(KEYS_OF_LANES)));
}

/** The list of all keys. */
function keysDialog() {
  const dialog = make("dialog", { "aria-label": "Keys" });
  dialog.append(make("h2", {}, "Keys"), make("dl", { class: "keys" }, ...keyRows([...KEYS_OF_PAGE, ...KEYS_OF_LANES])),
    make("p", { class: "quiet" }, "Those of the lanes need the focus there; the arrows left and right also work with the pointer there."),
    make("button", { type: "button", autofocus: true, click: () => dialog.close() }, "Close"));
  return dialog;
}

/**
 * Listens for the keys of the page.
 * @param {HTMLElement[]} articles
 * @param {Map<string, LanesView>} views  for each id of a failure, its lanes
 */
function listenForKeys(articles, views) {
  const dialog = keysDialog();
  document.body.append(dialog);
  document.addEventListener("keydown", (event) => {
    if (dialog.open) return;
    const way = wayOf(event, { j: 1, k: -1, "?": "keys", ArrowLeft: "previous", ArrowRight: "next" });
    if (way === "keys") dialog.showModal();
    else if (typeof way === "number") goToFailure(articles, way);
    else if (way && movePointed(views, way)) event.preventDefault();
  });
}

// Moves the cursor of the lanes that the pointer is in, if nothing else has the focus.
function movePointed(views, way) {
  if (document.activeElement !== document.body) return false;
  const pointed = [...views.values()].find((view) => view.scroller.matches(":hover"));
  pointed?.move(way);
  return pointed !== undefined;
}

// The failure behind or before the one at the top of the window.
function goToFailure(articles, way) {
  const tops = articles.map((article) => article.getBoundingClientRect().top);
  const article = way > 0 ? articles[tops.findIndex((top) => top > 12)] : articles[tops.findLastIndex((top) => top < -12)];
  if (!article) return;
  article.scrollIntoView();
  article.tabIndex = -1;
  article.focus({ preventScroll: true });
}
