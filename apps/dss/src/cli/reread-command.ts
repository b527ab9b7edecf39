import { randomUUID } from 'node:crypto';
import { DittoError } from '#kernel';
import { askInstance, type InstanceAccess } from './instance-call.ts';
import { type ScopeFields } from './parse-scope.ts';
import { findRereadExit, readsPath, type ReadView, renderRead, renderReads, reread } from './reread.ts';
import { type AskService } from './verify.ts';

export interface RereadCall {
  readonly config: string | undefined;
  readonly json: boolean;
  readonly source: string;
  /** Token (with the role `operate` but to list and show), URL and TLS, as of any request to DSS. */
  readonly access: InstanceAccess;
  readonly what:
    | {
        readonly action: 'begin';
        readonly order: ScopeFields & { readonly table?: string; readonly reason?: string; readonly id?: string };
      }
    | { readonly action: 'list' }
    | { readonly action: 'show' | 'cancel'; readonly id: string };
}

/** 130: nobody watches any more, the read goes on. */
export interface RereadOutcome {
  readonly exit: 0 | 1 | 130;
  readonly text: string;
}

const REASON = 'asked for at the command line';

/** Never rejects for what a server says. `signal` ends the watching. */
export async function runReread(
  environment: NodeJS.ProcessEnv,
  { config, json, source, access, what }: RereadCall,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<RereadOutcome> {
  const ask: AskService = async (method, path, body) => {
    const request = { service: 'dss', ...access, method, path, ...(body && { body }) } as const;
    const outcome = await askInstance(environment, config, request);
    if (!outcome.done) throw new DittoError('DITTO_REQUEST_REFUSED', outcome.text);
    return JSON.parse(outcome.body) as unknown;
  };
  const show = (answer: unknown, text: string): string => (json ? JSON.stringify(answer, null, 2) : text);
  try {
    switch (what.action) {
      case 'list': {
        const answer = (await ask('GET', readsPath(source))) as { readonly reads: readonly ReadView[] };
        return { exit: 0, text: show(answer, renderReads(answer.reads)) };
      }
      case 'show':
      case 'cancel': {
        const method = what.action === 'show' ? 'GET' : 'DELETE';
        const read = (await ask(method, readsPath(source, what.id))) as ReadView;
        return { exit: 0, text: show(read, renderRead(read)) };
      }
      case 'begin': {
        const order = { ...what.order, id: what.order.id ?? randomUUID(), reason: what.order.reason ?? REASON };
        const read = await reread({ source, order, ask, onProgress, signal });
        const goesOn = `The read goes on. To cancel it: npm run ditto -- reread cancel ${read.id} --source ${source}`;
        if (read.endedAtMs === null) return { exit: 130, text: show(read, goesOn) };
        return { exit: findRereadExit(read), text: show(read, renderRead(read)) };
      }
    }
  } catch (error) {
    return { exit: 1, text: error instanceof Error ? error.message : String(error) };
  }
}
