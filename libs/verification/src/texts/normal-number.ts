const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,5}))?$/;

/**
 * The exact decimal value in one form, digits and a power of ten: `1.50`, `01.5` and `15e-1` are all `15e-1`. Null for
 * what is no number. A zero keeps its sign.
 */
export function normalNumber(text: string): string | null {
  const match = NUMBER.exec(text);
  if (match === null) return null;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const digits = (whole + fraction).replace(/^0+/, '');
  if (digits === '') return `${sign}0`;
  const significant = withoutLastZeros(digits);
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}

/** A regular expression would look at each run of zeros inside from each of its places. */
function withoutLastZeros(digits: string): string {
  let end = digits.length;
  while (digits[end - 1] === '0') end--;
  return digits.slice(0, end);
}

/** The double whose text is the shortest that a FLOAT of this exact value has. */
export function shortestSingle(exact: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(exact.toPrecision(digits));
    if (Math.fround(shorter) === exact) return shorter;
  }
  return Number(exact.toPrecision(9));
}
