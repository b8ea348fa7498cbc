// Search in sorted arrays.

/**
 * The position of the last value that is not above a limit; -1 if all are.
 * @param {ArrayLike<number>} sorted
 * @param {number} limit
 */
function lastUpTo(sorted, limit) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
