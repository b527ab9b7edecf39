import { isAbort, sleep } from '#kernel';
import { drawBar, drawTable } from './drawings.ts';
import { type ScopeFields } from './parse-scope.ts';
import { type ServiceCall } from './service-call.ts';

/** What DWS answers about a run, as far as it is shown. */
export interface VerificationView {
  readonly id: string;
  readonly state: string;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
  readonly tables: number;
  readonly doneTables: number;
  readonly notJudged: number;
  readonly rows: number;
  readonly mismatches: number;
  readonly ignored: number;
  readonly unsettled: number;
  readonly quarantined: number;
  readonly secondWay: SecondWayView;
  readonly estimatedRows: number;
  readonly rate: number;
  readonly remainingMs: number | null;
  readonly details: readonly VerifiedTableView[];
}

/** Rows that were compared the second way too. */
export interface SecondWayView {
  readonly rows: number;
  readonly mismatches: number;
  readonly ignored: number;
  readonly unsettled: number;
}

export interface VerifiedTableView {
  readonly database: string;
  readonly table: string;
  readonly sink: string;
  readonly phase: string;
  readonly rows: number;
  readonly equal: number;
  readonly mismatches: number;
  readonly unsettled: number;
  readonly quarantined: number;
  readonly secondWay: SecondWayView;
  readonly listed: number;
  readonly hold: { readonly state: string; readonly reason: string } | null;
}

export interface VerifyOrder extends ScopeFields {
  readonly id?: string;
  readonly source: string;
  readonly tables?: readonly string[];
  readonly sinks?: readonly string[];
  readonly secondWayShare?: number;
}

/** One request to a service; rejects when it is not answered, or refused. */
export type AskService = (method: ServiceCall['method'], path: string, body?: object) => Promise<unknown>;

export interface VerifyOptions {
  readonly order: VerifyOrder;
  readonly ask: AskService;
  /** For people who watch; called now and then. */
  readonly onProgress: (line: string) => void;
  readonly pollMs?: number;
  readonly signal?: AbortSignal;
}

/** 0: all is equal. 1: rows differ. 2: something could not be judged. */
export type VerifyExit = 0 | 1 | 2;

const POLL_MS = 1000;
/** Answers that are missing while a worker starts again, or another is asked. */
const MOST_FAILURES = 30;

/** Begins a run and waits until it has ended. */
export async function verify({
  order,
  ask,
  onProgress,
  pollMs = POLL_MS,
  signal,
}: VerifyOptions): Promise<VerificationView> {
  let run = (await ask('POST', '/verifications', order)) as VerificationView;
  let failures = 0;
  while (run.endedAtMs === null) {
    onProgress(describeProgress(run));
    await sleep(pollMs, signal ?? new AbortController().signal);
    try {
      run = (await ask('GET', `/verifications/${run.id}`)) as VerificationView;
      failures = 0;
    } catch (error) {
      if (isAbort(error) || ++failures >= MOST_FAILURES) throw error;
    }
  }
  return run;
}

/** Rows that differ in the tables of a run, also those that only earlier runs have found. */
export interface KnownMismatches {
  readonly open: number;
}

export function findExit(run: VerificationView, known: KnownMismatches): VerifyExit {
  const { state, notJudged, unsettled } = run;
  if (state !== 'done' || notJudged > 0) return 2;
  if (countFound(run) > 0 || known.open > 0) return 1;
  return unsettled > 0 ? 2 : 0;
}

/** By the way that has found more of them, without those that were ignored when the run met them. */
function countFound({ mismatches, ignored, secondWay }: VerificationView): number {
  return Math.max(mismatches - ignored, secondWay.mismatches - secondWay.ignored);
}

export function describeProgress(run: VerificationView): string {
  const { state, rows, estimatedRows, rate, remainingMs, doneTables, tables, mismatches } = run;
  const left = remainingMs === null ? '' : `, about ${Math.ceil(remainingMs / 1000)} s left`;
  const found = mismatches === 0 ? '' : `, ${mismatches} differ`;
  const held = run.details.find(({ hold }) => hold !== null && state === 'waiting')?.hold;
  const waits = held ? ` (${held.reason})` : '';
  const of = estimatedRows === 0 ? '' : ` of about ${estimatedRows}`;
  return `${drawBar(rows, estimatedRows)} ${state}${waits}: ${rows} rows${of}, ${rate} a second${left}; ${doneTables} of ${tables} tables${found}`;
}

const NUMBERS = ['rows', 'equal', 'differ', 'unsettled', 'quarantined', '2nd way', 'differ', 'looked up'];
const HEADINGS = ['table', 'sink', ...NUMBERS, ''];

export function renderVerification(run: VerificationView, known: KnownMismatches): string {
  const lines = run.details.map(
    ({ database, table, sink, rows, equal, mismatches, unsettled, quarantined, secondWay, listed, hold }) => [
      `${database}.${table}`,
      sink,
      ...[rows, equal, mismatches, unsettled, quarantined].map(String),
      ...[secondWay.rows, secondWay.mismatches, listed].map(String),
      hold === null ? '' : `${hold.state}: ${hold.reason}`,
    ],
  );
  const table = drawTable(HEADINGS, lines, [2, 3, 4, 5, 6, 7, 8, 9]);
  return [table, '', summarize(run, known)].join('\n');
}

function summarize(run: VerificationView, known: KnownMismatches): string {
  const { id, state, error, rows, secondWay, notJudged, unsettled, createdAtMs, endedAtMs } = run;
  const { open } = known;
  const ignored = Math.max(run.ignored, secondWay.ignored);
  const found = countFound(run);
  const seconds = (((endedAtMs ?? createdAtMs) - createdAtMs) / 1000).toFixed(1);
  const parts = [
    found + open === 0 ? 'no difference' : `${found} found to differ, ${open} open: GET /mismatches lists them`,
    ...(secondWay.rows === 0 ? [] : [describeSecondWay(secondWay)]),
    ...(ignored === 0 ? [] : [`${ignored} that differ are ignored and do not count`]),
    ...(notJudged === 0 ? [] : [`${notJudged} tables could not be judged`]),
    ...(unsettled === 0 ? [] : [`${unsettled} rows changed all the time and are unsettled`]),
    ...(error === null ? [] : [error.message]),
  ];
  return `${state} after ${seconds} s, ${rows} rows: ${parts.join('; ')} (run ${id})`;
}

function describeSecondWay({ rows, mismatches }: SecondWayView): string {
  return `${rows} rows also compared the second way, ${mismatches === 0 ? 'no difference' : `${mismatches} differ`}`;
}
