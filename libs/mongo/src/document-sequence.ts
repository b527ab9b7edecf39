// @ts-expect-error -- the driver has no types of what it does not export
import { DocumentSequence as DriverSequence } from 'mongodb/lib/cmap/commands.js';

/** A section of kind 1 of an OP_MSG: a field of the command as documents one after the other. */
export interface DocumentSequence {
  /** `bytes` are one document or several. The other argument is for the driver's monitoring, which nobody listens to. */
  push(document: object, bytes: Uint8Array): number;
  toBin(): Uint8Array;
}

/**
 * The driver's own class, by which its bulk writes hand over bytes that they have made; the driver knows its objects by
 * `instanceof`. It is no part of the driver's public interface: mongoose and its driver are pinned, and tests fail when
 * it changes or when mongoose has another copy of the driver.
 */
const Sequence = DriverSequence as new (field: string) => DocumentSequence;

/** Smaller ones may share their memory with others. */
const LEAST_RELEASED_BYTES = 1024 * 1024;

/**
 * The driver copies what a sequence gives at once, and then the copy once more. Wide documents would be in memory five
 * times if the first were there until its garbage is collected (I9).
 */
class ReleasedSequence extends Sequence {
  override toBin(): Uint8Array {
    const bytes = super.toBin();
    const { buffer } = bytes;
    if (buffer.byteLength >= LEAST_RELEASED_BYTES && buffer instanceof ArrayBuffer)
      queueMicrotask(() => void buffer.transfer(0));
    return bytes;
  }
}

/** The value of `field` in a command: documents that are BSON already and are sent as they are. */
export function makeDocumentSequence(field: string, documents: readonly Uint8Array[]): DocumentSequence {
  const sequence = new ReleasedSequence(field);
  for (const bytes of documents) sequence.push({}, bytes);
  return sequence;
}
