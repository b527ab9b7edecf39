import { ValueImages, type Row } from '#change-events';
import { nullBytes } from '../codec/image-skip.ts';
import { JsonDiffError, patchedJsonText } from '../values/json-diff.ts';
import { type EventBytes } from './event-header.ts';
import { undecodable } from './log-images.ts';
import { type RowSkipper } from './row-skipper.ts';
import { type TableReader } from './table-cache.ts';

type IncludedReader = TableReader & { included: true };

/** Where the value of each column lies with its length, null for NULL. */
type ValuePlaces = readonly ({ readonly start: number; readonly end: number } | null)[];

/**
 * The rows of a PARTIAL_UPDATE_ROWS event from `first` on: full images in which JSON values of the after image may be
 * diffs to the value before. They are decoded at once, one event after the other: such events are rare.
 */
export function readPartialUpdates(
  event: EventBytes,
  first: number,
  reader: IncludedReader,
): { before: ValueImages; after: ValueImages } {
  const before: Row[] = [];
  const after: Row[] = [];
  const { layout } = reader;
  try {
    for (let at = first; at < event.end;) at = readChange(event, at, reader, before, after);
  } catch (error) {
    throw undecodable(layout, error);
  }
  return { before: new ValueImages(layout, before), after: new ValueImages(layout, after) };
}

/** Reads both images of a row; returns where the next begins. */
function readChange(
  { bytes, end }: EventBytes,
  start: number,
  { codec, skipper }: IncludedReader,
  before: Row[],
  after: Row[],
): number {
  const behindBefore = codec.skip(bytes, start, end);
  before.push(codec.decode(bytes, start));
  const { hasPartial, bits, nulls } = skipper.skipOptions(bytes, behindBefore);
  const behind = codec.skip(bytes, nulls, end);
  if (!hasPartial) {
    after.push(codec.decode(bytes, nulls));
    return behind;
  }
  const documents = new Map<number, string>();
  const image = fullImage({ bytes, before: start, bits, nulls }, skipper, codec.places, documents);
  codec.skip(image, 0, image.length);
  after.push(codec.decode(image, 0).map((value, i) => documents.get(i) ?? value));
  return behind;
}

interface PartialImage {
  readonly bytes: Buffer;
  /** Start of the before image. */
  readonly before: number;
  /** Bits of the JSON columns: which of them are diffs. */
  readonly bits: number;
  /** Start of the after image, after its options. */
  readonly nulls: number;
}

/** Bytes of the length before a JSON value, and before diffs. */
const JSON_LENGTH = 4;

/**
 * The after image with the values before in place of the diffs to them; the changed documents go into `documents`, by
 * their index in the row. Diffs of an excluded column stay: they have a length as a document has it, and nobody reads them.
 */
function fullImage(
  { bytes, before, bits, nulls }: PartialImage,
  skipper: RowSkipper,
  places: readonly number[],
  documents: Map<number, string>,
): Buffer {
  const old = findValues(bytes, before, skipper);
  const parts = [bytes.subarray(nulls, nulls + nullBytes(skipper.isJson.length))];
  let jsonColumn = 0;
  findValues(bytes, nulls, skipper).forEach((place, i) => {
    const index = places[i] ?? -1;
    const isDiff = skipper.isJson[i] === true && bitAt(bytes, bits, jsonColumn++) && index !== -1;
    const source = isDiff && place !== null ? (old[i] ?? null) : place;
    if (source !== null) parts.push(bytes.subarray(source.start, source.end));
    if (!isDiff || place === null) return;
    if (source === null) throw new JsonDiffError('the before image has no document');
    const document = bytes.subarray(source.start + JSON_LENGTH, source.end);
    documents.set(index, patchedJsonText(document, bytes, place.start + JSON_LENGTH, place.end));
  });
  return Buffer.concat(parts);
}

function bitAt(bytes: Buffer, at: number, i: number): boolean {
  return ((bytes[at + (i >> 3)] ?? 0) & (1 << (i & 7))) !== 0;
}

function findValues(bytes: Buffer, nulls: number, skipper: RowSkipper): ValuePlaces {
  let at = nulls + nullBytes(skipper.isJson.length);
  return skipper.isJson.map((_, i) => {
    if (bitAt(bytes, nulls, i)) return null;
    const start = at;
    at = skipper.valueEnd(bytes, at, i);
    return { start, end: at };
  });
}
