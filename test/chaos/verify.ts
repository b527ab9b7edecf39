import { setTimeout as sleep } from 'node:timers/promises';
import type { MismatchView, Run } from '../system/verifying.ts';
import type { Deployment } from './deployment.ts';
import { ways } from './plan.ts';

const ENDS_WITHIN_MS = 180_000;
const ASK_EVERY_MS = 250;

/**
 * A run of each source, which must judge every row and find nothing; and what was found since the beginning, by runs and
 * by continuous verification. Nobody damages anything, so whatever was found is a false alarm.
 */
export async function verifyAll(deployment: Deployment): Promise<{ runs: number; falseAlarms: string[] }> {
  const { url } = deployment.instance('dws-1');
  const falseAlarms: string[] = [];
  for (const source of ways) {
    const { id } = await ask<Run>(url, '/verifications', { id: crypto.randomUUID(), source });
    const run = await waitForEnd(url, id);
    if (run.state !== 'done' || run.mismatches + run.unsettled + run.notJudged > 0)
      falseAlarms.push(`a run of ${source} ended with ${JSON.stringify(run)}`);
    const { mismatches } = await ask<{ mismatches: MismatchView[] }>(url, `/mismatches?source=${source}&limit=20`);
    falseAlarms.push(...mismatches.map((mismatch) => JSON.stringify(mismatch)));
  }
  return { runs: ways.length, falseAlarms };
}

async function waitForEnd(url: string, id: string): Promise<Run> {
  const deadline = performance.now() + ENDS_WITHIN_MS;
  for (;;) {
    const run = await ask<Run>(url, `/verifications/${id}`);
    if (!['running', 'waiting'].includes(run.state)) return run;
    if (performance.now() > deadline) throw new Error(`a run of verification does not end: ${JSON.stringify(run)}`);
    await sleep(ASK_EVERY_MS);
  }
}

/** Asks again while the worker does not answer yet. */
async function ask<Answer>(url: string, path: string, body?: object): Promise<Answer> {
  const sent =
    body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const deadline = performance.now() + 60_000;
  for (;;) {
    let last: string;
    try {
      const answer = await fetch(url + path, { ...sent, signal: AbortSignal.timeout(15_000) });
      const text = await answer.text();
      if (answer.ok) return JSON.parse(text) as Answer;
      last = `${answer.status} ${text}`;
      if (answer.status !== 503) throw new RangeError(last);
    } catch (error) {
      if (error instanceof RangeError || performance.now() > deadline) throw error;
    }
    await sleep(ASK_EVERY_MS);
  }
}
