import { findTlsMaterialProblem } from '#kernel';
import { valueAt } from './find-violations.ts';
import { LISTENERS } from './listeners.ts';
import { type ConfigProblem, type Path } from './problem.ts';
import { isSourceName, SWITCH_DEFAULTS } from './server-sections.ts';
import { deriveServerId } from './server-id.ts';
import { LEASE_DEFAULTS } from './service-sections.ts';
import { SINK_NAMES } from './sinks/registry.ts';

type Group = Readonly<Record<string, unknown>>;

/**
 * Rules between options. They look at the file as written and tolerate that other parts of it are wrong, so that one run
 * names everything.
 */
export function findContradictions(tree: unknown): ConfigProblem[] {
  const root = asGroup(tree);
  return [
    ...checkSinks(root),
    ...checkSources(asGroup(root['sources'])),
    ...checkServerIds(asGroup(root['sources'])),
    ...checkTokens(asGroup(root['auth'])),
    ...checkFencing(asGroup(root['kafka'])),
    ...checkWebhooks(root),
    ...checkListeners(root),
    ...checkTls(root),
    ...checkLease(asGroup(asGroup(root['dss'])['lease'])),
  ];
}

function checkSinks(root: Group): ConfigProblem[] {
  if (SINK_NAMES.every((name) => root[name] === undefined))
    return [problem([SINK_NAMES[0]], 'no sink is configured', `Add at least one of ${SINK_NAMES.join(', ')}.`)];
  return Object.entries(asGroup(root['sources'])).flatMap(([name, source]) =>
    asList(asGroup(source)['sinks']).flatMap((sink, index) =>
      SINK_NAMES.some((name) => name === sink) && root[String(sink)] === undefined
        ? [
            problem(
              ['sources', name, 'sinks', index],
              `names ${String(sink)}, which is not configured`,
              `Add the section ${String(sink)}, or remove it here.`,
            ),
          ]
        : [],
    ),
  );
}

function checkSources(sources: Group): ConfigProblem[] {
  if (Object.keys(sources).length === 0)
    return [problem(['sources'], 'names no source', 'Add a name with its endpoints and the tables to include.')];
  return Object.entries(sources).flatMap(([name, value]) => {
    const problems = isSourceName(name)
      ? []
      : [
          problem(
            ['sources', name],
            'has a name that is not allowed',
            'Use up to 48 lower-case letters, digits, - and _, beginning with a letter or digit.',
          ),
        ];
    const endpoints = asList(asGroup(value)['endpoints']).length;
    if (endpoints === 0) return problems;
    const endpoint = asGroup(asGroup(value)['snapshot'])['endpoint'];
    if (typeof endpoint === 'number' && endpoint >= endpoints)
      problems.push(
        problem(
          ['sources', name, 'snapshot', 'endpoint'],
          `is ${endpoint}, but there are ${endpoints} endpoints`,
          'Endpoints are counted from 0.',
        ),
      );
    const { dispatchAfter, replicas = SWITCH_DEFAULTS.replicas } = asGroup(asGroup(value)['switch']);
    if (dispatchAfter === 'replicated' && typeof replicas === 'number' && replicas >= endpoints)
      problems.push(
        problem(
          ['sources', name, 'switch', 'replicas'],
          `is ${replicas}, but besides the one that is streamed there are ${endpoints - 1} endpoints`,
          'Name more endpoints, or wait for fewer.',
        ),
      );
    return problems;
  });
}

function checkServerIds(sources: Group): ConfigProblem[] {
  const owners = new Map<unknown, string>();
  return Object.entries(sources).flatMap(([name, value]) => {
    const serverId = asGroup(value)['serverId'] ?? deriveServerId(name);
    const owner = owners.get(serverId);
    owners.set(serverId, owner ?? name);
    if (owner === undefined) return [];
    return [
      problem(
        ['sources', name, 'serverId'],
        `is also the serverId of the source ${owner}`,
        'Give each source a number of its own.',
      ),
    ];
  });
}

function checkTokens(auth: Group): ConfigProblem[] {
  const tokens = asList(auth['tokens']).map(asGroup);
  const problems: ConfigProblem[] = [];
  tokens.forEach(({ name, token }, index) => {
    if (name !== undefined && tokens.findIndex((other) => other['name'] === name) < index)
      problems.push(problem(['auth', 'tokens', index, 'name'], 'is used twice', 'Give each token a name of its own.'));
    if (typeof token === 'string' && tokens.findIndex((other) => other['token'] === token) < index)
      problems.push(
        problem(
          ['auth', 'tokens', index, 'token'],
          'is the same as another token',
          'Make a new one: openssl rand -hex 32',
        ),
      );
  });
  const operators = tokens.filter(({ roles }) => asList(roles).includes('operate')).map(({ name }) => name);
  if (tokens.length > 0 && operators.length === 0)
    problems.push(
      problem(['auth', 'tokens'], 'has no token with the role operate', 'DSS and DWS need one to talk to DCS.'),
    );
  const rpcToken = auth['rpcToken'];
  if (typeof rpcToken === 'string' && !operators.includes(rpcToken))
    problems.push(
      problem(['auth', 'rpcToken'], 'is not the name of a token with the role operate', 'Name one of auth.tokens.'),
    );
  return problems;
}

function checkFencing({ fencing, client }: Group): ConfigProblem[] {
  if (fencing !== 'transactions' || client !== 'kafkajs') return [];
  return [
    problem(
      ['kafka', 'fencing'],
      'is transactions, which the client kafkajs can not do',
      'Use the client platformatic, or set kafka.fencing: none.',
    ),
  ];
}

function checkWebhooks(root: Group): ConfigProblem[] {
  const webhooks = asList(root['webhooks']).map(asGroup);
  return webhooks.flatMap(({ name }, index) =>
    name !== undefined && webhooks.findIndex((other) => other['name'] === name) < index
      ? [problem(['webhooks', index, 'name'], 'is used twice', 'Give each webhook a name of its own.')]
      : [],
  );
}

function checkListeners(root: Group): ConfigProblem[] {
  if (asList(asGroup(root['auth'])['tokens']).length > 0) return [];
  return LISTENERS.flatMap(([service, kind]) => {
    const host = asGroup(asGroup(root[service])[kind])['host'];
    if (typeof host !== 'string' || host === '' || isLoopback(host)) return [];
    return [
      problem(
        [service, kind, 'host'],
        `is ${host}, which others can reach, but no token is configured`,
        'Add auth.tokens, or listen on 127.0.0.1.',
      ),
    ];
  });
}

function checkTls(root: Group): ConfigProblem[] {
  const endpoints = Object.entries(asGroup(root['sources'])).flatMap(([name, source]) =>
    asList(asGroup(source)['endpoints']).map((_, index) => ['sources', name, 'endpoints', index, 'tls']),
  );
  const places: Path[] = [...endpoints, ...[...SINK_NAMES, 'redis', 'state', 'dcs'].map((name) => [name, 'tls'])];
  for (const [service, kind] of LISTENERS) {
    const place = [service, kind, 'tls'];
    // a half that is missing is reported by the schema
    const { cert, key } = asGroup(valueAt(root, place));
    if (cert !== undefined && key !== undefined) places.push(place);
  }
  return places.flatMap((place) => checkTlsMaterial(asGroup(valueAt(root, place)), place));
}

/**
 * That a certificate has expired is not a contradiction: it can be renewed while the service runs, for its next start.
 */
function checkTlsMaterial({ ca, cert, key }: Group, place: Path): ConfigProblem[] {
  if (!isTextOrNone(ca) || !isTextOrNone(cert) || !isTextOrNone(key)) return [];
  const found = findTlsMaterialProblem({ ca, cert, key }, 0);
  return found === null ? [] : [problem([...place, found.option], found.problem, found.remedy)];
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}

function checkLease(lease: Group): ConfigProblem[] {
  const { ttlMs, renewMs } = { ...LEASE_DEFAULTS, ...lease };
  if (typeof ttlMs !== 'number' || typeof renewMs !== 'number' || renewMs * 3 <= ttlMs) return [];
  return [
    problem(
      ['dss', 'lease', 'renewMs'],
      `is ${renewMs}, more than a third of ttlMs, ${ttlMs}`,
      'Renew at least three times within ttlMs.',
    ),
  ];
}

/** Whether only processes of the same machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

function problem(path: Path, text: string, remedy: string): ConfigProblem {
  return { path, problem: text, remedy };
}

function asGroup(value: unknown): Group {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Group) : {};
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
