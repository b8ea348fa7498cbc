// Starts the page. The files are joined to one script in this order:
//
//   elements.js search.js data.js run.js marks.js columns.js rows.js lines.js plane.js heads.js views.js
//   source_panel.js standings_panel.js step_panel.js parting.js controls.js keys.js lanes.js
//   printing.js copying.js address.js page.js

async function start() {
  listenForCopies();
  const articles = [...document.querySelectorAll("article.failure")];
  const views = await viewsOfFailures(articles);
  listenForKeys(articles, views);
  listenForPrinting([...views.values()]);
  listenForAddresses(views);
}

/** Fills the sections for lanes; for each id of a failure, its view. */
async function viewsOfFailures(articles) {
  const views = new Map();
  if (typeof DecompressionStream === "undefined") {
    for (const section of document.querySelectorAll("section.lanes")) {
      section.append("This browser is too old to draw the steps; the words below say what happened.");
    }
    return views;
  }
  const { failures, sources } = await readData();
  for (const article of articles) {
    const failure = failures[Number(article.dataset.failure)];
    const section = article.querySelector("section.lanes");
    if (!failure?.lanes?.steps.length || !section) continue;
    const title = article.querySelector("h2").textContent;
    views.set(article.id, new LanesView(section, failure, { sources, name: article.id, title, moved: noteAddress }));
  }
  return views;
}

await start();
