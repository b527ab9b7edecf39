import { randomUUID } from 'node:crypto';
import { DittoError } from '#kernel';
import { findExit, renderVerification, verify, type VerifyExit, type VerifyOrder } from './verify.ts';
import { askWorker, type WorkerRequest } from './worker-call.ts';

export interface VerifyCall {
  readonly config: string | undefined;
  readonly json: boolean;
  readonly order: VerifyOrder;
  /** Token (with the role `operate`), URL and TLS, as of any request to DWS. */
  readonly access: Omit<WorkerRequest, 'path' | 'body'>;
}

export interface VerifyOutcome {
  readonly exit: VerifyExit;
  readonly text: string;
}

/** Verifies, and says how it ended; never rejects for what a server says. */
export async function runVerify(
  environment: NodeJS.ProcessEnv,
  { config, json, order, access }: VerifyCall,
  onProgress: (line: string) => void,
): Promise<VerifyOutcome> {
  const ask = async (_method: string, path: string, body?: object): Promise<unknown> => {
    const outcome = await askWorker(environment, config, { ...access, path, ...(body && { body }) });
    if (!outcome.done) throw new DittoError('DITTO_REQUEST_REFUSED', outcome.text);
    return JSON.parse(outcome.body);
  };
  try {
    // with an id of the caller's, so that a request that is sent to a second worker begins no second run
    const run = await verify({ order: { id: randomUUID(), ...order }, ask, onProgress });
    const query = new URLSearchParams({ source: order.source, state: 'open', limit: '1000' });
    const { mismatches } = (await ask('GET', `/mismatches?${query.toString()}`)) as {
      readonly mismatches: readonly { readonly database: string; readonly table: string; readonly sink: string }[];
    };
    const isOfRun = (one: (typeof mismatches)[number]): boolean =>
      run.details.some(
        ({ database, table, sink }) => database === one.database && table === one.table && sink === one.sink,
      );
    const open = mismatches.filter(isOfRun).length;
    const exit = findExit(run, open);
    return { exit, text: json ? JSON.stringify({ exit, open, ...run }, null, 2) : renderVerification(run, open) };
  } catch (error) {
    return { exit: 2, text: error instanceof Error ? error.message : String(error) };
  }
}
