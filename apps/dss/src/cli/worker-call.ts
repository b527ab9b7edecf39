import { loadConfig, toDcsOptions } from '#configuration';
import { DcsClient, type ServiceStatus } from '#dcs-client';
import { DittoError, findReason, type TlsMaterial, toDittoError, trimEndOf } from '#kernel';
import { findRpcToken } from '#platform';
import { callService } from './service-call.ts';
import { describeProblem, readProblem } from './service-problem.ts';

/** Which services have reported to DCS. */
export interface ServiceDirectory {
  listServices(): Promise<readonly ServiceStatus[]>;
}

/** What is asked of any DWS. */
export interface WorkerRequest {
  /** Path and query of its REST API. */
  readonly path: string;
  /** For a POST; it may be sent to more than one. */
  readonly body?: object;
  /** With the role `read`, for a POST `operate`; null where the services ask for none. */
  readonly token: string | null;
  /** Where a DWS is reached when what the instances report does not hold from here. */
  readonly url: string | null;
  /** For a DWS with TLS: what to trust instead of the system's authorities, and a client certificate. */
  readonly tls: TlsMaterial;
}

export type WorkerOutcome =
  | { readonly done: true; readonly body: string }
  /** `text` is for people, in lines. */
  | { readonly done: false; readonly text: string };

/** Asks one DWS after the other until one answers; never rejects for what a server says. */
export async function askWorker(
  environment: NodeJS.ProcessEnv,
  config: string | undefined,
  request: WorkerRequest,
): Promise<WorkerOutcome> {
  let client: DcsClient | null = null;
  try {
    const { dcs, auth } = loadConfig(environment, { ...(config !== undefined && { path: config }) });
    client = new DcsClient({ ...toDcsOptions(dcs), token: findRpcToken(auth)?.reveal() ?? null });
    return await askAnyWorker(client, request);
  } catch (cause) {
    return { done: false, text: describeProblem(toDittoError(cause)) };
  } finally {
    client?.close();
  }
}

/** Rejects when no DWS can be asked. */
export async function askAnyWorker(directory: ServiceDirectory, request: WorkerRequest): Promise<WorkerOutcome> {
  const { path, body, token, tls } = request;
  const method = body === undefined ? 'GET' : 'POST';
  const failures: string[] = [];
  for (const url of await findWorkers(directory, request.url)) {
    if (Object.keys(tls).length > 0 && !url.startsWith('https:')) throw unencrypted(url);
    try {
      const answer = await callService({ method, url: url + path, ...(body && { body }), token, tls });
      if (answer.status >= 300) return { done: false, text: describeProblem(readProblem(url, answer)) };
      return { done: true, body: answer.body };
    } catch (error) {
      failures.push(`${url} does not answer: ${findReason(error)}`);
    }
  }
  throw new DittoError('DITTO_WORKER_SILENT', failures.join('; ') || 'no DWS has reported to DCS', {
    retriable: true,
    remedy:
      'Start a DWS, or give the address of one that holds from here by --url http://HOST:PORT (https:// where dws.http.tls is set, with its authority by --ca).',
  });
}

/** The newest report first. */
async function findWorkers(directory: ServiceDirectory, given: string | null): Promise<readonly string[]> {
  if (given !== null) return [trimEndOf(given, '/')];
  const workers = (await directory.listServices()).filter(({ service }) => service === 'dws');
  const newestFirst = workers.sort((a, b) => b.reportedAtMs - a.reportedAtMs);
  return newestFirst.flatMap(({ url }) => (url === null ? [] : [trimEndOf(url, '/')]));
}

function unencrypted(url: string): DittoError {
  return new DittoError('DITTO_WORKER_UNENCRYPTED', `${url} has no TLS, so that the token would pass as it is`, {
    remedy:
      'Give the address of a DWS with TLS by --url https://HOST:PORT (dws.http.tls), or leave out the files of TLS.',
  });
}
