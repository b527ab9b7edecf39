/** What the message of a change says it is: `t` ends all rows of its table. */
export type EnvelopeOperation = 'c' | 'u' | 'd' | 'r' | 't';

const OPERATION = Buffer.from('"op":"');
const LETTERS: ReadonlySet<string> = new Set<EnvelopeOperation>(['c', 'u', 'd', 'r', 't']);
const QUOTE = 34;

/**
 * The operation of an envelope as `EnvelopeWriter` writes it, found from its end without taking it apart: after `op` come
 * numbers and null alone, and in names and values before it each quote is escaped. Null where there is none.
 */
export function findOperation(envelope: Buffer): EnvelopeOperation | null {
  const at = envelope.lastIndexOf(OPERATION);
  if (at < 0) return null;
  const letterAt = at + OPERATION.length;
  const letter = envelope[letterAt + 1] === QUOTE ? String.fromCharCode(envelope[letterAt] as number) : '';
  return LETTERS.has(letter) ? (letter as EnvelopeOperation) : null;
}
