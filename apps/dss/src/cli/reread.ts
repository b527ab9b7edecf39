import { abortable, isAbort, sleep } from '#kernel';
import { drawBar, drawTable } from './drawings.ts';
import { type ScopeFields } from './parse-scope.ts';
import { type AskService } from './verify.ts';

/** What DSS answers about a read, as far as it is shown. */
export interface ReadView {
  readonly id: string;
  readonly source: string;
  /** Null for all tables. */
  readonly table: string | null;
  readonly kind: string;
  readonly keyCount: number | null;
  readonly confirmedKeys: number;
  readonly phase: string | null;
  readonly estimatedRows: number | null;
  readonly state: string;
  readonly counts: { readonly read: number; readonly emitted: number | null; readonly gone: number | null };
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly reason: string;
  readonly actor: string;
  readonly acceptedAtMs: number;
  readonly endedAtMs: number | null;
}

export interface ReadOrder extends ScopeFields {
  /** The caller's, so that a request that is sent to a second instance is no second read. */
  readonly id: string;
  readonly table?: string;
  readonly reason: string;
}

export interface RereadOptions {
  readonly source: string;
  readonly order: ReadOrder;
  readonly ask: AskService;
  /** For people who watch; called now and then. */
  readonly onProgress: (line: string) => void;
  /** Ends the watching, not the read. */
  readonly signal: AbortSignal;
  readonly pollMs?: number;
}

const POLL_MS = 1000;
/** Answers that are missing while an instance starts again, or another is asked. */
const MOST_FAILURES = 30;

export function readsPath(source: string, id?: string): string {
  return `/sources/${encodeURIComponent(source)}/reads${id === undefined ? '' : `/${encodeURIComponent(id)}`}`;
}

/** Asks for a read and waits until it has ended, or nobody watches any more: it is as it was last seen then. */
export async function reread({
  source,
  order,
  ask,
  onProgress,
  signal,
  pollMs = POLL_MS,
}: RereadOptions): Promise<ReadView> {
  let read = (await ask('POST', readsPath(source), order)) as ReadView;
  let failures = 0;
  try {
    while (read.endedAtMs === null) {
      onProgress(describeRead(read));
      await sleep(pollMs, signal);
      try {
        read = (await abortable(ask('GET', readsPath(source, order.id)), signal)) as ReadView;
        failures = 0;
      } catch (error) {
        if (isAbort(error) || ++failures >= MOST_FAILURES) throw error;
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return read;
}

export function describeRead(read: ReadView): string {
  const { keyCount, confirmedKeys, estimatedRows, phase, state, counts, error } = read;
  const [done, of] = keyCount === null ? [counts.read, estimatedRows ?? 0] : [confirmedKeys, keyCount];
  const unit = keyCount === null ? 'rows' : 'keys';
  const about = of === 0 ? '' : keyCount === null ? ` of about ${of}` : ` of ${of}`;
  const gone = phase === 'gone' ? `; looks for rows that are gone: ${counts.gone ?? 0}` : '';
  const waits = error === null || read.endedAtMs !== null ? '' : ` (is tried again: ${error.message})`;
  return `${drawBar(done, of)} ${state}${waits}: ${done} ${unit}${about}${gone}`;
}

/** 0: it is done. 1: it is not. */
export function findRereadExit({ state }: ReadView): 0 | 1 {
  return state === 'done' ? 0 : 1;
}

export function renderRead(read: ReadView): string {
  const { id, table, source, state, counts, error, acceptedAtMs, endedAtMs } = read;
  const seconds = endedAtMs === null ? '' : ` after ${((endedAtMs - acceptedAtMs) / 1000).toFixed(1)} s`;
  const parts = [
    `${counts.read} rows read`,
    ...(counts.emitted === null ? [] : [`${counts.emitted} given to the sinks, the log was newer for the others`]),
    ...(counts.gone === null ? [] : [`${counts.gone} gone`]),
    ...(error === null ? [] : [`${error.code}: ${error.message}`]),
  ];
  return `${state}${seconds}: ${table ?? `all tables of ${source}`}: ${parts.join('; ')} (read ${id})`;
}

const HEADINGS = ['read', 'table', 'scope', 'state', 'rows', 'gone', 'accepted', 'reason'];

export function renderReads(reads: readonly ReadView[]): string {
  const lines = reads.map(({ id, table, kind, state, counts, acceptedAtMs, reason }) => [
    ...[id, table ?? 'all', kind, state, String(counts.read), String(counts.gone ?? '')],
    ...[new Date(acceptedAtMs).toISOString(), reason.length > 60 ? `${reason.slice(0, 60)}…` : reason],
  ]);
  return lines.length === 0 ? 'no reads' : drawTable(HEADINGS, lines, [4, 5]);
}
