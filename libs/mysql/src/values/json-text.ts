import { trimEndOf } from '#kernel';

/**
 * One text for each JSON document, whether it comes from the log's binary form or from the text that the server
 * prints: MySQL's own key order, separators and escapes, and each number in one form by its exact decimal value
 * (integers with all digits; others as ECMAScript's Number::toString lays digits out: 1, 0.5, 1e+21).
 */

/** Lays out digits × 10^exponent as ECMAScript prints numbers; exact for any count of digits. */
function layOutNumber(negative: boolean, digits: string, exponent: number): string {
  const sign = negative ? '-' : '';
  const point = digits.length + exponent;
  if (digits.length <= point && point <= 21) return sign + digits + '0'.repeat(point - digits.length);
  if (0 < point && point <= 21) return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
  if (-6 < point && point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  const power = point - 1;
  const mantissa = digits.length === 1 ? digits : `${digits[0] ?? ''}.${digits.slice(1)}`;
  return `${sign}${mantissa}e${power < 0 ? '-' : '+'}${Math.abs(power)}`;
}

/** The one form of a JSON number. `1.50`, `15e-1` and `1.5` become `1.5`; `-0.0` becomes `0`. */
export function canonicalNumber(token: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token);
  if (match === null) throw new SyntaxError(`not a JSON number: ${token}`);
  const [, sign, whole = '', fraction, power] = match;
  const digits = (whole + (fraction ?? '')).replace(/^0+/, '');
  if (digits === '') return '0';
  if (fraction === undefined && power === undefined) return token;
  const trimmed = trimEndOf(digits, '0');
  const exponent = Number(power ?? 0) - (fraction ?? '').length + (digits.length - trimmed.length);
  return layOutNumber(sign === '-', trimmed, exponent);
}

/** The canonical text of a document that the server printed. */
export function canonicalJsonText(text: string): string {
  // nothing to change unless some number has a point, an exponent or a negative zero
  if (!/\d[.eE]|-0/.test(text)) return text;
  let result = '';
  let copied = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      at = endOfString(text, at);
    } else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      const start = at;
      while (at < text.length && isNumberCode(text.charCodeAt(at))) at++;
      result += text.slice(copied, start) + canonicalNumber(text.slice(start, at));
      copied = at;
    } else {
      at++;
    }
  }
  return result + text.slice(copied);
}

function isNumberCode(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2b || code === 0x2e || code === 0x45 || code === 0x65
  );
}

/** Index after the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote === -1) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === 0x5c) backslashes++;
    at = quote + 1;
    if (backslashes % 2 === 0) return at;
  }
}
