import { loadConfig, toDcsOptions } from '#configuration';
import { DcsClient, type ServiceStatus } from '#dcs-client';
import { DittoError, findReason, type TlsMaterial, toDittoError, trimEndOf } from '#kernel';
import { findRpcToken } from '#platform';
import { callService, type ServiceCall } from './service-call.ts';
import { describeProblem, readProblem } from './service-problem.ts';

/** Which services have reported to DCS. */
export interface ServiceDirectory {
  listServices(): Promise<readonly ServiceStatus[]>;
}

/** How an instance is reached. */
export interface InstanceAccess {
  /** With the role `read`, for all but GET `operate`; null where the services ask for none. */
  readonly token: string | null;
  /** Where an instance is reached when what the instances report does not hold from here. */
  readonly url: string | null;
  /** For an instance with TLS: what to trust instead of the system's authorities, and a client certificate. */
  readonly tls: TlsMaterial;
}

/** What is asked of any instance of a service; it may be sent to more than one. */
export interface InstanceRequest extends InstanceAccess {
  readonly service: 'dss' | 'dws';
  readonly method: ServiceCall['method'];
  /** Path and query of its REST API. */
  readonly path: string;
  readonly body?: object;
}

export type InstanceOutcome =
  | { readonly done: true; readonly body: string }
  /** `text` is for people, in lines. */
  | { readonly done: false; readonly text: string };

/** Asks one instance after the other until one answers; never rejects for what a server says. */
export async function askInstance(
  environment: NodeJS.ProcessEnv,
  config: string | undefined,
  request: InstanceRequest,
): Promise<InstanceOutcome> {
  let client: DcsClient | null = null;
  try {
    const { dcs, auth } = loadConfig(environment, { ...(config !== undefined && { path: config }) });
    client = new DcsClient({ ...toDcsOptions(dcs), token: findRpcToken(auth)?.reveal() ?? null });
    return await askAnyInstance(client, request);
  } catch (cause) {
    return { done: false, text: describeProblem(toDittoError(cause)) };
  } finally {
    client?.close();
  }
}

/** Rejects when none can be asked. */
export async function askAnyInstance(directory: ServiceDirectory, request: InstanceRequest): Promise<InstanceOutcome> {
  const { service, method, path, body, token, tls } = request;
  const failures: string[] = [];
  for (const url of await findInstances(directory, request)) {
    if (Object.keys(tls).length > 0 && !url.startsWith('https:')) throw unencrypted(service, url);
    try {
      const answer = await callService({ method, url: url + path, ...(body && { body }), token, tls });
      if (answer.status >= 300) return { done: false, text: describeProblem(readProblem(url, answer)) };
      return { done: true, body: answer.body };
    } catch (error) {
      failures.push(`${url} does not answer: ${findReason(error)}`);
    }
  }
  const name = service.toUpperCase();
  throw new DittoError(CODES[service].silent, failures.join('; ') || `no ${name} has reported to DCS`, {
    retriable: true,
    remedy: `Start a ${name}, or give the address of one that holds from here by --url http://HOST:PORT (https:// where ${service}.http.tls is set, with its authority by --ca).`,
  });
}

const CODES = {
  dss: { silent: 'DITTO_DSS_SILENT', unencrypted: 'DITTO_DSS_UNENCRYPTED' },
  dws: { silent: 'DITTO_WORKER_SILENT', unencrypted: 'DITTO_WORKER_UNENCRYPTED' },
} as const;

/** The newest report first. */
async function findInstances(
  directory: ServiceDirectory,
  { service, url: given }: InstanceRequest,
): Promise<readonly string[]> {
  if (given !== null) return [trimEndOf(given, '/')];
  const instances = (await directory.listServices()).filter((one) => one.service === service);
  const newestFirst = instances.sort((a, b) => b.reportedAtMs - a.reportedAtMs);
  return newestFirst.flatMap(({ url }) => (url === null ? [] : [trimEndOf(url, '/')]));
}

function unencrypted(service: InstanceRequest['service'], url: string): DittoError {
  return new DittoError(CODES[service].unencrypted, `${url} has no TLS, so that the token would pass as it is`, {
    remedy: `Give the address of a ${service.toUpperCase()} with TLS by --url https://HOST:PORT (${service}.http.tls), or leave out the files of TLS.`,
  });
}
