import { quoteJson } from '#change-events';
import { type DecodableColumn, type ImageColumn, isDecodable } from '../layout/stream-layout.ts';
import { labelOf } from './json-members.ts';

/** Closing brace, and what writers may put after their end. */
const SLACK = 8;
const NULL_BYTES = 4;
const QUOTES = 2;

/** Most bytes that a byte of text becomes: `\u0000`. */
const TEXT_FACTOR = 6;
/** Text within a JSON document is escaped twice: `\\u0000` (`json-binary.ts` sees to it that no byte counts twice). */
const DOCUMENT_FACTOR = 7;
/** Base64 makes four of three, a vector at most fifteen (`-1.1754943e-38,`) of four. */
const BYTES_FACTOR = 4;

interface ValueBound {
  /** Most bytes of a value, without those after a length prefix. */
  readonly constant: number;
  /** Most bytes for each byte after a length prefix. */
  readonly factor: number;
}

function fixed(constant: number): ValueBound {
  return { constant, factor: 0 };
}

function base64Bytes(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

function textBytes(text: string): number {
  return Buffer.byteLength(quoteJson(text));
}

function valueBound({ column, physical }: DecodableColumn): ValueBound {
  switch (column.kind) {
    case 'integer':
    case 'boolean':
      return fixed('-2147483648'.length);
    case 'bigint':
      return fixed('-9223372036854775808'.length + QUOTES);
    case 'decimal':
      return fixed('-0.'.length + column.precision + QUOTES);
    case 'float':
    case 'double':
      return fixed('-1.7976931348623157e+308'.length);
    case 'date':
    case 'time':
    case 'datetime':
    case 'timestamp':
      return fixed('2026-02-03T04:05:06.000007Z'.length + QUOTES);
    case 'bits':
      return fixed(base64Bytes(physical.size) + QUOTES);
    case 'enum':
      return fixed(Math.max(QUOTES, ...column.labels.map(textBytes)));
    case 'set':
      return fixed(textBytes(column.labels.join(',')));
    case 'text':
      return { constant: QUOTES, factor: TEXT_FACTOR };
    case 'bytes':
      return { constant: base64Bytes(physical.maxLength) + QUOTES, factor: BYTES_FACTOR };
    case 'vector':
      return { constant: QUOTES, factor: BYTES_FACTOR };
    case 'geometry':
      return { constant: '{"wkb":"====","srid":4294967295}'.length, factor: BYTES_FACTOR };
    case 'json':
      return { constant: NULL_BYTES + QUOTES, factor: DOCUMENT_FACTOR };
  }
}

interface KeyColumn {
  readonly factor: number;
  /** Most bytes after the length prefix; Infinity where the column does not say. */
  readonly mostBytes: number;
}

/** How many bytes the JSON of an image takes at most: `constant + factor × bytes of the image`, for row and key. */
export class JsonBound {
  readonly #constant: number;
  readonly #factor: number;
  readonly #keyConstant: number;
  readonly #key: readonly KeyColumn[];

  /** `key`: indexes of `columns`. */
  constructor(columns: readonly ImageColumn[], key: readonly number[]) {
    const bounds = columns.map((column) => (isDecodable(column) ? valueBound(column) : null));
    const replicated = [...columns.keys()].filter((index) => columns[index]?.column !== null);
    const most = (members: readonly number[]): number =>
      members.reduce((sum, index) => {
        const label = labelOf(columns[index]?.column?.name ?? '', false, true).length;
        return sum + label + Math.max(NULL_BYTES, bounds[index]?.constant ?? 0);
      }, SLACK);
    // a configured key may name a column more than once
    const repeats = key.length === new Set(key).size ? 1 : key.length;
    this.#keyConstant = most(key);
    this.#key = key.map((index) => {
      const maxLength = columns[index]?.physical.maxLength ?? 0;
      return { factor: bounds[index]?.factor ?? 0, mostBytes: maxLength === 0 ? Infinity : maxLength };
    });
    this.#constant = Math.max(most(replicated), this.#keyConstant);
    this.#factor = repeats * Math.max(...bounds.map((bound) => bound?.factor ?? 0));
  }

  bytes(imageBytes: number): number {
    return this.#constant + this.#factor * imageBytes;
  }

  /** Of the key alone: of a table whose key has short columns it is small however wide the row is. */
  keyBytes(imageBytes: number): number {
    let bytes = this.#keyConstant;
    for (const { factor, mostBytes } of this.#key) bytes += factor * Math.min(imageBytes, mostBytes);
    return bytes;
  }
}
