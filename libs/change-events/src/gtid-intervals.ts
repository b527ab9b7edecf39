/**
 * Sorted, disjoint, non-adjacent closed intervals of transaction numbers as a flat array: start, end, start, end…
 * Everything here takes and gives such arrays.
 */
export type Intervals = readonly number[];

/** Index in `intervals` (always even) of the first interval whose end is at or after `value`; its length when none is. */
function firstEndingAtOrBehind(intervals: Intervals, value: number): number {
  let low = 0;
  let high = intervals.length >>> 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((intervals[middle * 2 + 1] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low * 2;
}

/** Adds one number in place. Appending after the last interval costs no search. */
export function addNumber(intervals: number[], value: number): void {
  const length = intervals.length;
  if (length === 0) {
    intervals.push(value, value);
    return;
  }
  const lastEnd = intervals[length - 1] as number;
  if (value === lastEnd + 1) intervals[length - 1] = value;
  else if (value > lastEnd) intervals.push(value, value);
  else insertNumber(intervals, value);
}

/** Adds `more` in place when all of it comes after the rest, as it mostly does; says whether it did. */
export function appendIntervals(intervals: number[], more: Intervals): boolean {
  const [start, end] = more;
  if (start === undefined || end === undefined) return true;
  const last = intervals.length - 1;
  const lastEnd = intervals[last] ?? -1;
  if (start <= lastEnd) return false;
  if (start === lastEnd + 1) intervals[last] = end;
  else intervals.push(start, end);
  for (let i = 2; i < more.length; i++) intervals.push(more[i] as number);
  return true;
}

function insertNumber(intervals: number[], value: number): void {
  const at = firstEndingAtOrBehind(intervals, value);
  const start = intervals[at] as number;
  if (start <= value) return;
  const joinsNext = start === value + 1;
  const joinsPrevious = at > 0 && intervals[at - 1] === value - 1;
  if (joinsNext && joinsPrevious) intervals.splice(at - 1, 2);
  else if (joinsNext) intervals[at] = value;
  else if (joinsPrevious) intervals[at - 1] = value;
  else intervals.splice(at, 0, value, value);
}

/** Sorts and joins intervals given in any order. */
export function normalizeIntervals(pairs: readonly (readonly [number, number])[]): number[] {
  const result: number[] = [];
  for (const [start, end] of [...pairs].sort((a, b) => a[0] - b[0])) {
    const last = result.length - 1;
    if (last > 0 && start <= (result[last] as number) + 1) result[last] = Math.max(result[last] as number, end);
    else result.push(start, end);
  }
  return result;
}

export function containsNumber(intervals: Intervals, value: number): boolean {
  const at = firstEndingAtOrBehind(intervals, value);
  return at < intervals.length && (intervals[at] as number) <= value;
}

export function containsIntervals(outer: Intervals, inner: Intervals): boolean {
  for (let i = 0; i < inner.length; i += 2) {
    const at = firstEndingAtOrBehind(outer, inner[i + 1] as number);
    if (at >= outer.length || (outer[at] as number) > (inner[i] as number)) return false;
  }
  return true;
}

export function uniteIntervals(a: Intervals, b: Intervals): number[] {
  const result: number[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const takeA = j >= b.length || (i < a.length && (a[i] as number) <= (b[j] as number));
    const start = (takeA ? a[i] : b[j]) as number;
    const end = (takeA ? a[i + 1] : b[j + 1]) as number;
    if (takeA) i += 2;
    else j += 2;
    const last = result.length - 1;
    if (last > 0 && start <= (result[last] as number) + 1) result[last] = Math.max(result[last] as number, end);
    else result.push(start, end);
  }
  return result;
}

export function subtractIntervals(a: Intervals, b: Intervals): number[] {
  const result: number[] = [];
  let j = 0;
  for (let i = 0; i < a.length; i += 2) {
    let start = a[i] as number;
    const end = a[i + 1] as number;
    while (j < b.length && (b[j + 1] as number) < start) j += 2;
    for (let k = j; k < b.length && (b[k] as number) <= end; k += 2) {
      if ((b[k] as number) > start) result.push(start, (b[k] as number) - 1);
      start = (b[k + 1] as number) + 1;
    }
    if (start <= end) result.push(start, end);
  }
  return result;
}

export function intersectIntervals(a: Intervals, b: Intervals): number[] {
  const result: number[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const start = Math.max(a[i] as number, b[j] as number);
    const end = Math.min(a[i + 1] as number, b[j + 1] as number);
    if (start <= end) result.push(start, end);
    if ((a[i + 1] as number) < (b[j + 1] as number)) i += 2;
    else j += 2;
  }
  return result;
}

export function formatIntervals(intervals: Intervals): string {
  let text = '';
  for (let i = 0; i < intervals.length; i += 2) {
    const start = intervals[i] as number;
    const end = intervals[i + 1] as number;
    text += start === end ? `:${start}` : `:${start}-${end}`;
  }
  return text;
}
