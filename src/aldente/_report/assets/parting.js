// Where a run and asyncio's own order part, in words.

/**
 * @param {Run} run
 * @param {Run} stock
 * @param {number} at  the index of the first step in which they differ
 */
function partingWords(run, stock, at) {
  const [mine, theirs] = [doing(run, at), doing(stock, at)];
  return `Here the runs part: in this one ${mine}; in asyncio's own order ${theirs}.`;
}

function doing(run, at) {
  const step = run.steps[at];
  if (!step) return "nothing follows";
  if (!step.number) return `this happens: ${step.words}`;
  const place = step.at ? ` at ${run.placeName(step.at)}` : "";
  return `${run.nameOf(at)} runs${place}`;
}
