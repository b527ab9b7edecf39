import { DittoError } from '#kernel';
import { drawTable } from './drawings.ts';
import { askInstance, type InstanceAccess } from './instance-call.ts';
import { type AskService } from './verify.ts';

export interface FailedEventsCall {
  readonly config: string | undefined;
  readonly json: boolean;
  /** Token (with the role `operate` but to list and show), URL and TLS, as of any request to DWS. */
  readonly access: InstanceAccess;
  readonly what:
    | { readonly action: 'list'; readonly filter: Readonly<Record<string, string>> }
    | { readonly action: 'show'; readonly id: string }
    | { readonly action: 'retry'; readonly order: Readonly<Record<string, unknown>> }
    | { readonly action: 'discard'; readonly id: string; readonly reason: string };
}

interface FailedEventView {
  readonly id: string;
  readonly source: string;
  readonly sink: string;
  readonly table: string;
  readonly key: string;
  readonly state: string;
  readonly code: string;
  readonly message: string;
  readonly gtid: string | null;
  readonly file: string;
  readonly offset: number;
  readonly attempts: number;
  readonly laterChanges: number;
  readonly firstFailedMs: number;
  readonly lastFailedMs: number;
  readonly nextRetryMs: number | null;
  readonly reason: string | null;
  readonly actor: string | null;
  readonly endedAtMs: number | null;
  readonly payload?: { readonly text: string; readonly bytes: number; readonly isCut: boolean } | null;
}

export interface FailedEventsOutcome {
  readonly exit: 0 | 1;
  readonly text: string;
}

const MOST_CHARACTERS = 60;
const MOST_PAYLOAD_CHARACTERS = 400;

/** Never rejects for what a server says. */
export async function runFailedEvents(
  environment: NodeJS.ProcessEnv,
  { config, json, access, what }: FailedEventsCall,
): Promise<FailedEventsOutcome> {
  const ask: AskService = async (method, path, body) => {
    const request = { service: 'dws', ...access, method, path, ...(body && { body }) } as const;
    const outcome = await askInstance(environment, config, request);
    if (!outcome.done) throw new DittoError('DITTO_REQUEST_REFUSED', outcome.text);
    return JSON.parse(outcome.body) as unknown;
  };
  try {
    const { answer, text } = await runFailedEventsAction(ask, what);
    return { exit: 0, text: json ? JSON.stringify(answer, null, 2) : text };
  } catch (error) {
    return { exit: 1, text: error instanceof Error ? error.message : String(error) };
  }
}

export async function runFailedEventsAction(
  ask: AskService,
  what: FailedEventsCall['what'],
): Promise<{ readonly answer: unknown; readonly text: string }> {
  switch (what.action) {
    case 'list': {
      const failedEvents: FailedEventView[] = [];
      for (let after: string | null = ''; after !== null;) {
        const query = new URLSearchParams({ ...what.filter, ...(after !== '' && { after }) }).toString();
        const path = query === '' ? '/failed-events' : `/failed-events?${query}`;
        const page = (await ask('GET', path)) as {
          readonly failedEvents: readonly FailedEventView[];
          readonly next: string | null;
        };
        failedEvents.push(...page.failedEvents);
        after = page.next;
      }
      return { answer: { failedEvents }, text: renderList(failedEvents) };
    }
    case 'show': {
      const answer = (await ask('GET', `/failed-events/${what.id}`)) as FailedEventView;
      return { answer, text: renderOne(answer) };
    }
    case 'retry': {
      const answer = await ask('POST', '/failed-events/retry', what.order);
      const { retried, reads } = answer as { readonly retried: number; readonly reads: readonly string[] };
      const text = `${retried} rows are read again and tried${reads.length === 0 ? '' : ` (reads ${reads.join(', ')})`}`;
      return { answer, text };
    }
    case 'discard': {
      const answer = (await ask('POST', `/failed-events/${what.id}/discard`, {
        reason: what.reason,
      })) as FailedEventView;
      return { answer, text: renderOne(answer) };
    }
  }
}

const HEADINGS = ['id', 'source', 'sink', 'table', 'key', 'state', 'attempts', 'later changes', 'since', 'code'];

function renderList(events: readonly FailedEventView[]): string {
  const lines = events.map(({ id, source, sink, table, key, state, attempts, laterChanges, firstFailedMs, code }) => [
    ...[id, source, sink, table, cut(key, MOST_CHARACTERS), state, String(attempts), String(laterChanges)],
    ...[time(firstFailedMs), code],
  ]);
  return lines.length === 0 ? 'no failed events' : drawTable(HEADINGS, lines, [6, 7]);
}

function renderOne(event: FailedEventView): string {
  const { id, source, sink, table, key, state, code, message, gtid, file, offset, attempts, laterChanges } = event;
  const { firstFailedMs, lastFailedMs, nextRetryMs, reason, actor, endedAtMs, payload = null } = event;
  const size = payload?.isCut === true ? ` (the beginning of ${payload.bytes} bytes)` : '';
  return [
    `${id} ${state}: ${source} ${table} ${key} in ${sink}`,
    `  ${code}: ${message}`,
    `  tried ${attempts} times, refused from ${time(firstFailedMs)} to ${time(lastFailedMs)}; ${laterChanges} later changes held back`,
    `  last refused: GTID ${gtid ?? 'none'}, ${file}:${offset}`,
    ...(nextRetryMs === null ? [] : [`  tried again at ${time(nextRetryMs)}`]),
    ...(reason === null ? [] : [`  discarded by ${actor ?? 'nobody'}: ${reason}`]),
    ...(endedAtMs === null ? [] : [`  ended at ${time(endedAtMs)}`]),
    ...(payload === null ? [] : [`  payload${size}: ${cut(payload.text, MOST_PAYLOAD_CHARACTERS)}`]),
  ].join('\n');
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
