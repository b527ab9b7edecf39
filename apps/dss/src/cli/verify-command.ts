import { randomUUID } from 'node:crypto';
import { DittoError } from '#kernel';
import { countMismatches, type FoundMismatch } from './count-mismatches.ts';
import { type AskService, findExit, renderVerification, verify, type VerifyExit, type VerifyOrder } from './verify.ts';
import { askInstance, type InstanceAccess } from './instance-call.ts';

export interface VerifyCall {
  readonly config: string | undefined;
  readonly json: boolean;
  readonly order: VerifyOrder;
  /** Token (with the role `operate`), URL and TLS, as of any request to DWS. */
  readonly access: InstanceAccess;
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
  const ask: AskService = async (method, path, body) => {
    const request = { service: 'dws', ...access, method, path, ...(body && { body }) } as const;
    const outcome = await askInstance(environment, config, request);
    if (!outcome.done) throw new DittoError('DITTO_REQUEST_REFUSED', outcome.text);
    return JSON.parse(outcome.body) as unknown;
  };
  try {
    // with an id of the caller's, so that a request that is sent to a second worker begins no second run
    const run = await verify({ order: { id: randomUUID(), ...order }, ask, onProgress });
    const count = (
      more: Readonly<Record<string, string>>,
      isCounted?: (one: FoundMismatch) => boolean,
    ): Promise<number> => countMismatches(ask, { source: order.source, ...more }, isCounted);
    const isOfRun = (one: FoundMismatch): boolean =>
      run.details.some(
        ({ database, table, sink }) => database === one.database && table === one.table && sink === one.sink,
      );
    const open = await count({ state: 'open' }, isOfRun);
    const known = { open };
    const exit = findExit(run, known);
    return { exit, text: json ? JSON.stringify({ exit, ...known, ...run }, null, 2) : renderVerification(run, known) };
  } catch (error) {
    return { exit: 2, text: error instanceof Error ? error.message : String(error) };
  }
}
