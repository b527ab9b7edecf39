import { type EnvelopeOperation, isEnvelopeOperation } from './envelope-operation.ts';
import { findMembers } from './json-members.ts';

const OPERATION = Buffer.from('"op":"');
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
  return isEnvelopeOperation(letter) ? letter : null;
}

/** The parts of an envelope that say what a change has left, and where it comes from. */
export interface Envelope {
  readonly op: EnvelopeOperation;
  /** The JSON object of the row; null after a delete. */
  readonly after: Buffer | null;
  readonly source: EnvelopeSource;
}

export interface EnvelopeSource {
  readonly name: string;
  readonly db: string;
  readonly table: string;
  /** False for what a read found. */
  readonly isLogged: boolean;
  readonly gtid: string | null;
  readonly file: string;
  readonly pos: number;
  readonly row: number;
}

const MEMBERS = ['before', 'after', 'source', 'op', 'ts_ms', 'transaction'].join();

/** The envelope in bytes as `EnvelopeWriter` writes them; null when they are anything else. `after` is not taken apart. */
export function readEnvelope(value: Buffer): Envelope | null {
  const members = findMembers(value);
  if (members?.map(({ name }) => name).join() !== MEMBERS) return null;
  const [before, after, source, op, ms, transaction] = members.map(({ start, end }) => value.subarray(start, end));
  const block = readSource(parse(source as Buffer));
  const letter = parse(op as Buffer);
  const isWhole =
    block !== null &&
    isEnvelopeOperation(letter) &&
    parse(before as Buffer) !== undefined &&
    Number.isSafeInteger(parse(ms as Buffer)) &&
    parse(transaction as Buffer) === null;
  if (!isWhole) return null;
  const left = after as Buffer;
  return { op: letter, after: left.equals(NULL) ? null : left, source: block };
}

const NULL = Buffer.from('null');

/** Undefined for what is not JSON. */
function parse(json: Buffer): unknown {
  try {
    return JSON.parse(DECODER.decode(json));
  } catch {
    return undefined;
  }
}

/** Bytes that are not UTF-8 are an error, not U+FFFD. */
const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readSource(parsed: unknown): EnvelopeSource | null {
  if (typeof parsed !== 'object' || parsed === null) return null;
  const { version, connector, name, ts_ms, snapshot, db, table, server_id, gtid, file, pos, row } = parsed as Readonly<
    Record<string, unknown>
  >;
  const isSource =
    typeof version === 'string' &&
    connector === 'mysql' &&
    (snapshot === 'false' || snapshot === 'incremental') &&
    (gtid === null || typeof gtid === 'string') &&
    [ts_ms, server_id].every(Number.isSafeInteger);
  if (!isSource || typeof name !== 'string' || typeof db !== 'string' || typeof table !== 'string') return null;
  if (typeof file !== 'string' || typeof pos !== 'number' || typeof row !== 'number') return null;
  return { name, db, table, isLogged: snapshot === 'false', gtid, file, pos, row };
}
