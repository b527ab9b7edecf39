/** Base 64 of https://tc39.es/ecma426/#sec-base64-vlq */
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const CONTINUES = 32;

/**
 * The mappings of a source map with one entry for each line of a source, not for each word: the line of a trace stays
 * right, its column becomes that of the line's first word. With the first stack that is read Node keeps all entries as
 * objects.
 */
export function keepLines(mappings: string): string {
  let [source, line, column] = [0, 0, 0];
  let [keptSource, keptLine, keptColumn] = [0, 0, 0];
  const keepOf = (text: string): string => {
    const kept: string[] = [];
    let [at, keptAt, last] = [0, 0, ''];
    for (const entry of text === '' ? [] : text.split(',')) {
      const [step = 0, sources, lines = 0, columns = 0] = decode(entry);
      at += step;
      source += sources ?? 0;
      line += lines;
      column += columns;
      const place = sources === undefined ? 'none' : `${source}:${line}`;
      if (place === last) continue;
      last = place;
      const steps = sources === undefined ? [] : [source - keptSource, line - keptLine, column - keptColumn];
      kept.push([at - keptAt, ...steps].map(encode).join(''));
      keptAt = at;
      if (sources !== undefined) [keptSource, keptLine, keptColumn] = [source, line, column];
    }
    return kept.join(',');
  };
  return mappings.split(';').map(keepOf).join(';');
}

function decode(entry: string): number[] {
  const numbers: number[] = [];
  let [value, shift] = [0, 0];
  for (const character of entry) {
    const digit = DIGITS.indexOf(character);
    value += (digit & (CONTINUES - 1)) << shift;
    shift += 5;
    if (digit >= CONTINUES) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return numbers;
}

function encode(number: number): string {
  let rest = number < 0 ? (-number << 1) | 1 : number << 1;
  let text = '';
  do {
    const digit = rest & (CONTINUES - 1);
    rest >>= 5;
    text += DIGITS[rest > 0 ? digit | CONTINUES : digit] ?? '';
  } while (rest > 0);
  return text;
}
