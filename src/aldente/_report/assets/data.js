// The data of the page: base64 of zlib-deflated JSON.

/**
 * @typedef {[number, number]} Place  a file, by its number, and a line
 * @typedef {{name: string, words: string, value: string, is_change: boolean, role: string, at: Place}} Use
 * @typedef {{name: string, kind: string, call: string, creator: string, place: ?Place}} Lane
 * @typedef {{lane: number, number: number, time: number, words: string, then?: string, at?: Place,
 *   stop?: Place, callers?: string[], woken_in?: number, marks?: string[], instead_of?: string,
 *   until?: number, uses?: Use[], is_told?: boolean}} Step
 * @typedef {{files: string[], lanes: Lane[], steps: Step[], total: number,
 *   left_out: [number, number][]}} Lanes
 * @typedef {{lanes: ?Lanes, stock: ?Lanes, first_difference: ?number}} Failure
 * @typedef {Object<string, [number, string[]][]>} Sources  for each file, excerpts: first line and lines
 */

/** @returns {Promise<{failures: Failure[], sources: Sources}>} */
async function readData() {
  const packed = atob(document.getElementById("data").textContent.trim());
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}
