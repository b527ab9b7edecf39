import { type BigintMode } from './json-values.ts';
import { type RowImages } from './row-images.ts';

/**
 * Most keys fit: an index of InnoDB has at most 3,072 bytes, a character in JSON takes at most 6 for each. A key whose
 * index has a prefix of a column only, or that is configured, may be as long as its row.
 */
const shared = Buffer.allocUnsafeSlow(64 * 1024);

/** The bytes of the message key of an image, as text. */
export function keyText(images: RowImages, index: number, bigint: BigintMode, encoding: 'utf8' | 'latin1'): string {
  const bound = images.keyBound(index, bigint);
  const target = bound <= shared.length ? shared : Buffer.allocUnsafe(bound);
  return target.toString(encoding, 0, images.writeKey(index, target, 0, bigint));
}
