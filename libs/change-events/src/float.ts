const SMALLEST_NORMAL = 1.1754943508222875e-38;

/**
 * The double whose shortest text is the shortest text that reads back to the same 32-bit float: 0.1 for
 * 0.10000000149011612. `value` is the float widened to a double; not finite values come back as they are.
 */
export function shortestFloat(value: number): number {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return value;
  // Every decimal of six digits survives the way through a normal float (FLT_DIG), so shorter ones appear at six too.
  for (let digits = Math.abs(value) < SMALLEST_NORMAL ? 1 : 6; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === value) return candidate;
  }
  return Number(value.toPrecision(9));
}
