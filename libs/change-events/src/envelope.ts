import { type RowChange, type RowOperation, type TableChange, type TransactionInfo } from './change.ts';
import { type BigintMode, quoteJson } from './json-values.ts';
import { compileJsonRowEncoder } from './row-encoder.ts';
import { type TableLayout } from './table-layout.ts';

export interface EnvelopeOptions {
  /** The source's name, `source.name`. */
  readonly source: string;
  /** Ditto's own version, `source.version`. */
  readonly version: string;
  readonly bigint: BigintMode;
}

/** `nowMs`: when Ditto made the message, milliseconds since 1970; read the clock once per batch. */
export type EnvelopeEncoder = (change: RowChange, nowMs: number) => string;

const LETTERS: Readonly<Record<RowOperation, string>> = { create: 'c', update: 'u', delete: 'd', read: 'r' };

type SourceEncoder = (transaction: TransactionInfo, snapshot: 'false' | 'incremental') => string;

/** Everything of `source` up to the row number: constant for the changes of one transaction in one table. */
function compileSourceEncoder(
  { database, table }: TableLayout,
  options: Pick<EnvelopeOptions, 'source' | 'version'>,
): SourceEncoder {
  const server = `{"version":${JSON.stringify(options.version)},"connector":"mysql","name":${JSON.stringify(options.source)}`;
  const place = `"db":${JSON.stringify(database)},"table":${JSON.stringify(table)}`;
  return (transaction, snapshot) => {
    const { commitMicros, gtid, file, serverId, offset } = transaction;
    const times = `"ts_ms":${Math.floor(commitMicros / 1000)},"snapshot":"${snapshot}"`;
    const log = `"server_id":${serverId},"gtid":${gtid === null ? 'null' : quoteJson(gtid)},"file":${quoteJson(file)}`;
    return `,"source":${server},${times},${place},${log},"pos":${offset},"row":`;
  };
}

function encodeTail(op: string, nowMs: number): string {
  return `},"op":"${op}","ts_ms":${nowMs},"transaction":null}`;
}

function encodeTails(nowMs: number): Readonly<Record<RowOperation, string>> {
  return {
    create: encodeTail(LETTERS.create, nowMs),
    update: encodeTail(LETTERS.update, nowMs),
    delete: encodeTail(LETTERS.delete, nowMs),
    read: encodeTail(LETTERS.read, nowMs),
  };
}

/**
 * Compiles the message value of a layout's changes: Debezium's envelope as JSON without schema (docs/types.md lists
 * the differences). The encoder remembers the newest transaction object and the newest `nowMs`, so that a run of rows
 * pays for their text once. `change.layout` must be `layout`. An update is encoded as it is: split a key change first.
 */
export function compileEnvelopeEncoder(layout: TableLayout, options: EnvelopeOptions): EnvelopeEncoder {
  const encodeRow = compileJsonRowEncoder(layout, options);
  const encodeSource = compileSourceEncoder(layout, options);
  let transaction: TransactionInfo | null = null;
  let snapshot: 'false' | 'incremental' = 'false';
  let source = '';
  let tailsMadeAt = -1;
  let tails: Readonly<Record<RowOperation, string>> = LETTERS;
  return (change, nowMs) => {
    const { op, before, after } = change;
    const isRead = op === 'read';
    if (change.transaction !== transaction || isRead !== (snapshot === 'incremental')) {
      transaction = change.transaction;
      snapshot = isRead ? 'incremental' : 'false';
      source = encodeSource(transaction, snapshot);
    }
    if (nowMs !== tailsMadeAt) {
      tailsMadeAt = nowMs;
      tails = encodeTails(nowMs);
    }
    return (
      (before === null ? '{"before":null' : '{"before":' + encodeRow(before)) +
      (after === null ? ',"after":null' : ',"after":' + encodeRow(after)) +
      source +
      (isRead ? '0' : String(change.rowIndex)) +
      tails[op]
    );
  };
}

/** The message of a truncated or dropped table, `"op":"t"`: to be sent without a key to every partition. */
export function encodeTableChange(
  change: TableChange,
  options: Pick<EnvelopeOptions, 'source' | 'version'>,
  nowMs: number,
): string {
  const source = compileSourceEncoder(change.layout, options)(change.transaction, 'false');
  return `{"before":null,"after":null${source}${change.rowIndex}${encodeTail('t', nowMs)}`;
}
