import { setTimeout as sleep } from 'node:timers/promises';
import { DittoError } from '#kernel';

const REPAIRED_WITHIN_MS = 180_000;
const LOOK_EVERY_MS = 250;

export interface DwsFacts {
  /** Address of DWS. */
  readonly dws: string;
  readonly source: string;
  readonly signal: AbortSignal;
}

/** What `GET /verifications/:id` of DWS says, as far as it is looked at. */
interface Run {
  readonly state: string;
  readonly rows: number;
  readonly error: { readonly message: string } | null;
}

/** What `GET /mismatches` of DWS says, as far as it is shown. */
interface Mismatch {
  readonly table: string;
  readonly key: string;
  readonly kind: string;
  readonly state: string;
}

/** A verification of the mirror; resolves with its id. */
export async function startRun({ dws, source, signal }: DwsFacts): Promise<string> {
  const body = JSON.stringify({ source, sinks: ['mongo'] });
  const headers = { 'content-type': 'application/json' };
  const { id } = await ask<{ id: string }>(`${dws}/verifications`, { method: 'POST', headers, body, signal });
  return id;
}

/** Until it is done; throws `DITTO_DEMO_RUN_ENDED` when it ends otherwise. */
export function waitForRun(facts: DwsFacts, runId: string): Promise<Run> {
  return waitFor(facts, async () => {
    const run = await ask<Run>(`${facts.dws}/verifications/${runId}`, { signal: facts.signal });
    if (run.state === 'failed')
      throw new DittoError('DITTO_DEMO_RUN_ENDED', `The verification has failed: ${run.error?.message ?? 'no reason'}`);
    if (run.state === 'cancelled') throw new DittoError('DITTO_DEMO_RUN_ENDED', 'The verification was cancelled.');
    return run.state === 'done' ? run : null;
  });
}

/** Until each mismatch of the run is repaired or gone. */
export function waitForRepairs(facts: DwsFacts, runId: string): Promise<readonly Mismatch[]> {
  return waitFor(facts, async () => {
    const url = `${facts.dws}/mismatches?source=${facts.source}&run=${runId}&limit=100`;
    const { mismatches } = await ask<{ mismatches: readonly Mismatch[] }>(url, { signal: facts.signal });
    return mismatches.every(({ state }) => state === 'repaired' || state === 'gone') ? mismatches : null;
  });
}

async function waitFor<T>({ signal }: DwsFacts, look: () => Promise<T | null>): Promise<T> {
  const deadline = performance.now() + REPAIRED_WITHIN_MS;
  for (;;) {
    const seen = await look();
    if (seen !== null) return seen;
    if (performance.now() > deadline)
      throw new DittoError(
        'DITTO_DEMO_NOT_REPAIRED',
        `The damage was not repaired within ${REPAIRED_WITHIN_MS / 1000} s.`,
      );
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
}

async function ask<T>(url: string, init: RequestInit): Promise<T> {
  const response = await fetch(url, init);
  if (!response.ok)
    throw new DittoError(
      'DITTO_DEMO_REFUSED',
      `DWS answers ${response.status}: ${(await response.text()).slice(0, 500)}`,
    );
  return (await response.json()) as T;
}
