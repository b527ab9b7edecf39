/** Code that writes the names of JSON members, for writers that are generated for a layout. */

const UNIT = 4;
/** Stores one after the other are faster than a loop; beyond so many columns the code would be too long for V8 to optimise. */
const UNROLLED_COLUMNS = 64;

export function isUnrolled(columns: number): boolean {
  return columns <= UNROLLED_COLUMNS;
}

/** What comes before a value: `{"name":` or `,"name":`, and the opening quote of a string. */
export function labelOf(name: string, isFirst: boolean, isQuoted: boolean): Buffer {
  return Buffer.from(`${isFirst ? '{' : ','}${JSON.stringify(name)}:${isQuoted ? '"' : ''}`);
}

/** The label's bytes in units of four, the last one filled with zeros. */
export function labelUnits(label: Buffer): Int32Array {
  const padded = Buffer.alloc(Math.ceil(label.length / UNIT) * UNIT);
  label.copy(padded);
  return Int32Array.from({ length: padded.length / UNIT }, (_, i) => padded.readInt32LE(i * UNIT));
}

export function writeLabel(w: DataView, p: number, units: Int32Array): void {
  for (let i = 0; i < units.length; i++) w.setInt32(p + i * UNIT, units[i] as number, true);
}

/** Writes the units in `l<index>` at `p` of `w`, and moves `p` past the label. */
export function labelCode(index: number, length: number, unrolled: boolean): string {
  const units = Math.ceil(length / UNIT);
  const stores = unrolled
    ? Array.from({ length: units }, (_, i) => `w.setInt32(p + ${i * UNIT}, l${index}[${i}], true);`).join(' ')
    : `h.writeLabel(w, p, l${index});`;
  return `${stores} p += ${length};`;
}

/** `null`, the first character in the low byte. */
const NULL = 0x6c6c756e;

export function nullCode(isQuoted: boolean): string {
  return `${isQuoted ? 'p--; ' : ''}w.setInt32(p, ${NULL}, true); p += 4;`;
}
