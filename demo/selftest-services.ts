import { setTimeout as sleep } from 'node:timers/promises';
import { DcsClient } from '#dcs-client';
import { type DittoConfig, toDcsOptions } from '#configuration';
import { untried } from './scratch-table.ts';
import type { FoundMismatch } from './selftest-report.ts';

export interface SelftestRun {
  readonly id: string;
  readonly state: string;
  readonly mismatches: number;
  readonly notJudged: number;
  readonly unsettled: number;
  readonly rows: number;
  readonly endedAtMs: number | null;
  readonly details: readonly { readonly sink: string; readonly hold: { readonly reason: string } | null }[];
}

const LOOK_EVERY_MS = 250;
const READY_WITHIN_MS = 60_000;

/** Finds a DWS as the other commands do. `token`: for DWS; DCS is asked with the services' own. */
export async function findWorker({ dcs, auth }: DittoConfig): Promise<string> {
  const own = auth.tokens.find(({ name, roles }) =>
    auth.rpcToken === undefined ? roles.includes('operate') : name === auth.rpcToken,
  );
  const client = new DcsClient({ ...toDcsOptions(dcs), token: own?.token.reveal() ?? null });
  try {
    const workers = (await client.listServices()).filter(({ service, url }) => service === 'dws' && url !== null);
    const [newest] = workers.sort((a, b) => b.reportedAtMs - a.reportedAtMs);
    if (newest === undefined) throw untried('no DWS has reported to DCS', 'Start DSS, DCS and DWS.');
    return newest.url ?? '';
  } finally {
    client.close();
  }
}

/** What the self-test asks of a DWS about one table. */
export class SelftestServices {
  readonly #url: string;
  readonly #token: string | null;
  readonly #signal: AbortSignal;

  constructor(url: string, token: string | null, signal: AbortSignal) {
    this.#url = url.replace(/\/$/, '');
    this.#token = token;
    this.#signal = signal;
  }

  /** Waits until the table is known and its copy is complete, then verifies it to the end. */
  async verify(source: string, table: string, withinMs: number): Promise<SelftestRun> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const begun = await this.#ask('POST', '/verifications', { source, tables: [table] });
      // 422: DSS has not seen the table yet
      if (begun.status !== 422) {
        const { id } = begun.body as SelftestRun;
        return this.#waitFor(deadline, 'the verification has not ended', async () => {
          const run = (await this.#ask('GET', `/verifications/${id}`)).body as SelftestRun;
          return run.endedAtMs === null ? null : run;
        });
      }
      if (performance.now() > deadline) throw late('DSS has not seen the table');
      await sleep(LOOK_EVERY_MS, undefined, { signal: this.#signal });
    }
  }

  async listMismatches(source: string, runId: string): Promise<readonly FoundMismatch[]> {
    const query = new URLSearchParams({ source, run: runId, limit: '1000' });
    const { body } = await this.#ask('GET', `/mismatches?${query.toString()}`);
    return (body as { readonly mismatches: readonly FoundMismatch[] }).mismatches;
  }

  /** Whatever the policy of the source says. */
  async repair({ id }: FoundMismatch): Promise<void> {
    await this.#ask('POST', `/mismatches/${id}/repair`, {}, [409]);
  }

  /** Gives them as they are when each has come to an end, or the time is over. */
  async waitForRepairs(source: string, runId: string, withinMs: number): Promise<readonly FoundMismatch[]> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const mismatches = await this.listMismatches(source, runId);
      const isOpen = mismatches.some(({ state }) => state === 'open' || state === 'repairing');
      if (!isOpen || performance.now() > deadline) return mismatches;
      await sleep(LOOK_EVERY_MS, undefined, { signal: this.#signal });
    }
  }

  async #waitFor<T>(deadline: number, problem: string, look: () => Promise<T | null>): Promise<T> {
    for (;;) {
      const seen = await look();
      if (seen !== null) return seen;
      if (performance.now() > deadline) throw late(problem);
      await sleep(LOOK_EVERY_MS, undefined, { signal: this.#signal });
    }
  }

  async #ask(
    method: 'GET' | 'POST',
    path: string,
    body?: object,
    passed: readonly number[] = [422],
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    const headers = {
      ...(this.#token !== null && { authorization: `Bearer ${this.#token}` }),
      ...(body && { 'content-type': 'application/json' }),
    };
    const sent = { method, headers, ...(body && { body: JSON.stringify(body) }) };
    const deadline = performance.now() + READY_WITHIN_MS;
    let response = await this.#fetch(path, sent);
    // a service that was just started waits for its own servers
    while (response.status === 503 && performance.now() < deadline) {
      await sleep(LOOK_EVERY_MS, undefined, { signal: this.#signal });
      response = await this.#fetch(path, sent);
    }
    const text = await response.text();
    if (!response.ok && !passed.includes(response.status))
      throw untried(
        `DWS answers ${response.status}: ${text.slice(0, 500)}`,
        response.status === 401 || response.status === 403
          ? 'Give a token with the role operate by --token.'
          : 'See the logs of DWS.',
      );
    return { status: response.status, body: JSON.parse(text) as unknown };
  }

  async #fetch(path: string, sent: RequestInit): Promise<Response> {
    try {
      return await fetch(this.#url + path, { ...sent, signal: this.#signal });
    } catch (cause) {
      this.#signal.throwIfAborted();
      throw untried(`${this.#url} does not answer`, 'Ask from a machine that reaches DWS.', cause);
    }
  }
}

function late(problem: string): Error {
  return untried(
    `${problem} in time`,
    'See the status of the source: GET /sources of DSS, and the logs of DSS and DWS.',
  );
}
