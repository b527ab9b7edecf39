/** MySQL's binary form of a JSON value, always in the large format where containers are concerned (MySQL source, `sql-common/json_binary.h`). */

interface Typed {
  readonly type: number;
  readonly data: Buffer;
}

function variableLength(length: number): Buffer {
  const bytes: number[] = [];
  let rest = length;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Buffer.from(bytes);
}

function typed(value: unknown, size: 2 | 4): Typed {
  if (value === null || typeof value === 'boolean')
    return { type: 4, data: Buffer.from([value === null ? 0 : value ? 1 : 2]) };
  if (typeof value === 'number') return number(value);
  if (typeof value === 'string') {
    const text = Buffer.from(value);
    return { type: 12, data: Buffer.concat([variableLength(text.length), text]) };
  }
  const data = container(value as object, size);
  return { type: (Array.isArray(value) ? 2 : 0) + (size === 4 ? 1 : 0), data };
}

function number(value: number): Typed {
  if (Number.isInteger(value) && !Object.is(value, -0) && Math.abs(value) < 2 ** 15) {
    const data = Buffer.alloc(2);
    data.writeInt16LE(value);
    return { type: 5, data };
  }
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return { type: 11, data };
}

function unsigned(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntLE(value, 0, size);
  return bytes;
}

/** Count, size, key entries, value entries, keys, values; small values are in their entries. */
function container(value: object, size: 2 | 4): Buffer {
  const isArray = Array.isArray(value);
  const keys = isArray ? [] : Object.keys(value).map((key) => Buffer.from(key));
  const values = Object.values(value).map((member) => typed(member, size));
  let offset = 2 * size + keys.length * (size + 2) + values.length * (size + 1);
  const keyEntries = keys.map((key) => {
    const entry = Buffer.concat([unsigned(offset, size), unsigned(key.length, 2)]);
    offset += key.length;
    return entry;
  });
  const rest: Buffer[] = [];
  const valueEntries = values.map(({ type, data }) => {
    if (type === 4 || type === 5) return Buffer.concat([Buffer.from([type]), data, Buffer.alloc(size - data.length)]);
    const entry = Buffer.concat([Buffer.from([type]), unsigned(offset, size)]);
    offset += data.length;
    rest.push(data);
    return entry;
  });
  return Buffer.concat([
    unsigned(values.length, size),
    unsigned(offset, size),
    ...keyEntries,
    ...valueEntries,
    ...keys,
    ...rest,
  ]);
}

/** In the small format where it fits, as the server does. */
export function binaryJson(value: unknown): Buffer {
  for (const size of [2, 4] as const) {
    try {
      const { type, data } = typed(value, size);
      return Buffer.concat([Buffer.from([type]), data]);
    } catch (error) {
      if (size === 4) throw error;
    }
  }
  throw new Error('not reached');
}
