// Starts the page. The files are joined to one script in this order:
//
//   elements.js search.js data.js run.js marks.js columns.js lines.js plane.js heads.js views.js
//   source_panel.js standings_panel.js step_panel.js parting.js controls.js keys.js lanes.js
//   printing.js copying.js address.js page.js

async function start() {
  listenForCopies();
  const articles = [...document.querySelectorAll("article.failure")];
  const { failures, sources } = await readData();
  const views = new Map();
  for (const article of articles) {
    const failure = failures[Number(article.dataset.failure)];
    const section = article.querySelector("section.lanes");
    if (!failure?.lanes?.steps.length || !section) continue;
    const title = article.querySelector("h2").textContent;
    views.set(article.id, new LanesView(section, failure, { sources, name: article.id, title, moved: writeAddress }));
  }
  listenForKeys(articles, views);
  listenForPrinting([...views.values()]);
  listenForAddresses(views);
}

await start();
