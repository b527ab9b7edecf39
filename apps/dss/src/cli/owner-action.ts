import { DcsClient, type LeaseHolder, type ServiceStatus } from '#dcs-client';
import { DittoError, findReason, type TlsMaterial, toDittoError, trimEndOf } from '#kernel';
import { loadConfig, toDcsOptions } from '#configuration';
import { findRpcToken } from '#platform';
import { callService, type ServiceAnswer } from './service-call.ts';
import { describeProblem, readProblem } from './service-problem.ts';

/** What DCS says about who runs what. */
export interface OwnerDirectory {
  listLeases(): Promise<readonly LeaseHolder[]>;
  listServices(): Promise<readonly ServiceStatus[]>;
}

export type OwnerAction = 'restart' | 'resync' | 'rewind' | 'accept-log' | 'accept-loss' | 'switch';

/** What is asked of the DSS that owns a source. */
export interface OwnerRequest {
  readonly action: OwnerAction;
  readonly source: string;
  /** What the owner has to know besides; null where the action says all. */
  readonly body?: Readonly<Record<string, string>> | null;
  /** With the role `operate`; null where the services ask for none. */
  readonly token: string | null;
  /** Where the owner's REST API is reached when its own report of that does not hold from here. */
  readonly url: string | null;
  /** For an owner with TLS: what to trust instead of the system's authorities, and a client certificate. */
  readonly tls: TlsMaterial;
}

export interface OwnerOutcome {
  readonly done: boolean;
  /** For people, in lines. */
  readonly text: string;
}

/** Finds the DSS that owns the source and asks it; never rejects for what a server says. */
export async function runOwnerAction(
  environment: NodeJS.ProcessEnv,
  path: string | undefined,
  request: OwnerRequest,
): Promise<OwnerOutcome> {
  let client: DcsClient | null = null;
  try {
    const { sources, dcs, auth } = loadConfig(environment, { ...(path !== undefined && { path }) });
    if (sources[request.source] === undefined)
      throw new DittoError('DITTO_SOURCE_UNKNOWN', `there is no source ${request.source} in the configuration`, {
        remedy: `Configured are: ${Object.keys(sources).join(', ')}.`,
      });
    client = new DcsClient({ ...toDcsOptions(dcs), token: findRpcToken(auth)?.reveal() ?? null });
    return await askOwner(client, request);
  } catch (cause) {
    return { done: false, text: describeProblem(toDittoError(cause)) };
  } finally {
    client?.close();
  }
}

/** Rejects when DCS or the owner can not be asked. */
export async function askOwner(directory: OwnerDirectory, request: OwnerRequest): Promise<OwnerOutcome> {
  const { action, source, body = null, token, tls } = request;
  const { instance, url } = await findOwner(directory, source, request.url);
  if (Object.keys(tls).length > 0 && !url.startsWith('https:')) throw createUnencryptedError(url);
  const answer = await post(`${url}/sources/${encodeURIComponent(source)}/${action}`, body, token, tls);
  if (answer.status >= 300) return { done: false, text: describeProblem(readProblem(url, answer)) };
  return {
    done: true,
    text: EXPLANATIONS[action](source, instance, url, body?.['to'] ?? body?.['server'] ?? '').join('\n'),
  };
}

const EXPLANATIONS: Readonly<
  Record<OwnerAction, (source: string, instance: string, url: string, to: string) => readonly string[]>
> = {
  restart: (source, instance, url) => [
    `${source} is being tried again by ${instance} (${url}), from its checkpoint.`,
    `How it went: GET ${url}/sources/${source} (state, error).`,
  ],
  resync: (source, instance, url) => [
    `${source} is being resynced by ${instance} (${url}).`,
    'It raises the lineage, ends every row of the source in the sinks, takes the position that the server has now,',
    'and reads every included table again while the stream continues. Until that is done the sinks do not have all rows.',
    'A process that ends before that does no harm: the next owner of the source finishes the resync.',
    `How far it is: GET ${url}/sources/${source} (snapshot, lineage); when another instance takes over, GET /leases of DCS names it.`,
  ],
  rewind: (source, instance, url) => [
    `${source} is being rewound by ${instance} (${url}).`,
    'It streams again from before the place where Kafka has lost confirmed messages: all that came after is repeated, in order.',
    'Tables whose topics have lost messages are copied again at the same time.',
    'A process that ends before that does no harm: the next owner of the source finishes the rewind.',
    `Progress: GET ${url}/sources/${source}. Where the log does not reach back, the status has an error: then resync.`,
  ],
  switch: (source, instance, url, to) => [
    `${source} is being moved to ${to} by ${instance} (${url}).`,
    'It waits until that server has executed what was read, drains, proves that its log continues, and goes on there.',
    'Where that fails it stays where it is.',
    `How it went: GET ${url}/sources/${source} (server, lastSwitch).`,
  ],
  'accept-loss': (source, instance, url, to) => [
    `${source} is being moved to ${to} by ${instance} (${url}), without what that server lacks.`,
    'Rows that the lost transactions may have changed are read again, and rows that are gone end, in a new lineage.',
    'A process that ends before that does no harm: the next owner of the source does it.',
    `How it went: GET ${url}/sources/${source} (lastSwitch.healing names the tables; snapshot says how far they are).`,
  ],
  'accept-log': (source, instance, url) => [
    `${source} is opened again by ${instance} (${url}), which continues in the log of its server as it is.`,
    'If that log was reset, or the server restored from a backup, changes are skipped: then resync the source.',
    `How it went: GET ${url}/sources/${source}.`,
  ],
};

async function findOwner(
  directory: OwnerDirectory,
  source: string,
  given: string | null,
): Promise<{ readonly instance: string; readonly url: string }> {
  const lease = (await directory.listLeases()).find((held) => held.source === source);
  if (lease === undefined)
    throw new DittoError('DITTO_SOURCE_NOT_OWNED', `no instance of DSS owns ${source}`, {
      remedy: 'Start a DSS, wait until GET /leases of DCS names the source, then ask again.',
    });
  const reported = (await directory.listServices()).find(({ instance }) => instance === lease.owner)?.url ?? null;
  const url = given ?? reported;
  if (url === null)
    throw new DittoError(
      'DITTO_SOURCE_OWNER_SILENT',
      `${lease.owner} owns ${source} and has not said where it listens`,
      {
        remedy: 'Wait for its report (two seconds), or give its address by --url http://HOST:PORT.',
      },
    );
  return { instance: lease.owner, url: trimEndOf(url, '/') };
}

function createUnencryptedError(url: string): DittoError {
  return new DittoError('DITTO_SOURCE_OWNER_UNENCRYPTED', `${url} has no TLS, so that the token would pass as it is`, {
    remedy:
      'Give the address of the owner with TLS by --url https://HOST:PORT (dss.http.tls), or leave out --ca, --cert and --key.',
  });
}

async function post(
  url: string,
  body: OwnerRequest['body'],
  token: string | null,
  tls: TlsMaterial,
): Promise<ServiceAnswer> {
  try {
    return await callService({ method: 'POST', url, token, tls, ...(body && { body }) });
  } catch (cause) {
    throw new DittoError('DITTO_SOURCE_OWNER_SILENT', `${url} does not answer: ${findReason(cause)}`, {
      retriable: true,
      remedy: url.startsWith('https:')
        ? 'Ask from a machine that reaches it; give an address that holds from here and is in its certificate by --url, the authority of that certificate by --ca, and a client certificate, where it wants one, by --cert and --key.'
        : 'Ask from a machine that reaches it, or give the address that holds from here by --url http://HOST:PORT (https:// where dss.http.tls is set).',
      cause,
    });
  }
}
