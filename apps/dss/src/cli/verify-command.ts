import { randomUUID } from 'node:crypto';
import { DittoError } from '#kernel';
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

interface MismatchView {
  readonly database: string;
  readonly table: string;
  readonly sink: string;
}

interface MismatchPage {
  readonly mismatches: readonly MismatchView[];
  readonly next: string | null;
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
    const list = (more: Readonly<Record<string, string>>): Promise<readonly MismatchView[]> =>
      listMismatches(ask, { source: order.source, ...more });
    const isOfRun = (one: MismatchView): boolean =>
      run.details.some(
        ({ database, table, sink }) => database === one.database && table === one.table && sink === one.sink,
      );
    const open = (await list({ state: 'open' })).filter(isOfRun).length;
    const ignored = (await list({ state: 'ignored', run: run.id })).length;
    const known = { open, ignored };
    const exit = findExit(run, known);
    return { exit, text: json ? JSON.stringify({ exit, ...known, ...run }, null, 2) : renderVerification(run, known) };
  } catch (error) {
    return { exit: 2, text: error instanceof Error ? error.message : String(error) };
  }
}

/** All pages. */
async function listMismatches(
  ask: AskService,
  filter: Readonly<Record<string, string>>,
): Promise<readonly MismatchView[]> {
  const all: MismatchView[] = [];
  for (let after: string | null = ''; after !== null;) {
    const query = new URLSearchParams({ ...filter, limit: '1000', ...(after !== '' && { after }) });
    const page = (await ask('GET', `/mismatches?${query.toString()}`)) as MismatchPage;
    all.push(...page.mismatches);
    after = page.next;
  }
  return all;
}
