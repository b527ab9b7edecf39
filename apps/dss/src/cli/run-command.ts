import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { findTlsMaterialProblem, parseJsonExactly, type TlsMaterial } from '#kernel';
import { configJsonSchema } from '#configuration';
import { configureLogging } from '#platform';
import { runCheck } from './check.ts';
import { renderReport } from './render-report.ts';
import { type OwnerRequest, runOwnerAction } from './owner-action.ts';
import { describeMove } from './describe-move.ts';
import { renderAudit } from './render-audit.ts';
import { renderExplanation } from './render-explanation.ts';
import { askInstance, type InstanceAccess, type InstanceRequest } from './instance-call.ts';
import { parseScope, SCOPE_OPTIONS } from './parse-scope.ts';
import { type FailedEventsCall, runFailedEvents } from './failed-events-command.ts';
import { runVerify, type VerifyCall } from './verify-command.ts';
import { runReread, type RereadCall } from './reread-command.ts';

export interface CommandContext {
  readonly environment: NodeJS.ProcessEnv;
  /** Results. */
  readonly print: (text: string) => void;
  /** Mistakes in the call, and progress. */
  readonly complain: (text: string) => void;
  /** From here on the command ends by itself when somebody interrupts it (Ctrl-C): the signal is aborted then. */
  readonly awaitInterrupt?: () => AbortSignal;
}

const USAGE = `usage: npm run ditto -- COMMAND

  check [--config FILE] [--json]   try configuration, connections, server settings and grants; changes nothing.
                                   Lists every problem with its remedy; ends with 1 when there is an error.
  restart --source NAME [--token TOKEN] [--url URL] [--config FILE]
                                   try a source again that has stopped and waits for an operator.
  resync --source NAME [--token TOKEN] [--url URL] [--config FILE]
                                   start a source again: its owner, found through DCS, ends all its rows in the sinks,
                                   continues from where the server is now, and reads every row again.
                                   TOKEN has the role operate; $DITTO_TOKEN when left out.
                                   URL is the owner's REST API; as it reports itself when left out.
  rewind --source NAME [--token TOKEN] [--url URL] [--config FILE]
                                   have a source that stopped with DITTO_KAFKA_CONFIRMED_LOST stream again from before
                                   what Kafka has lost.
  accept-log --source NAME [--token TOKEN] [--url URL] [--config FILE]
                                   have a source that stopped with DITTO_SOURCE_LOG_UNPROVEN continue: you are sure that the
                                   log of its server was not reset and the server not restored from a backup.
  switch --source NAME --to HOST:PORT [--token TOKEN] [--url URL] [--config FILE]
                                   have a source stream from another of its endpoints, once that is proven to continue it.
  accept-loss --source NAME --server HOST:PORT --gtids SET [--token TOKEN] [--url URL] [--config FILE]
                                   have a source continue on a server that lacks SET, all of which is lost with the server
                                   that had it: rows that these transactions may have changed are read again.
  move --source NAME --to INSTANCE [--token TOKEN] [--url URL] [--config FILE]
                                   have another DSS run a source: its owner drains it and hands it over, and it stays there
                                   while that instance lives. INSTANCE is a name as GET /services of DCS lists it, the host
                                   in it where that is enough, or 'any': the source may run anywhere again.
                                   Any DSS takes it, found through DCS, or the one at URL. TOKEN has the role operate.
  explain --source NAME --table DATABASE.TABLE --key JSON [--json] [--token TOKEN] [--url URL] [--config FILE]
                                   show one row everywhere: in MySQL, MongoDB, Kafka and the binary log; and why it differs.
                                   JSON is the key as in the messages of Kafka: '{"id":1}'. Any DWS answers, found through
                                   DCS, or the one at URL. TOKEN has the role read; $DITTO_TOKEN when left out.
  reread --source NAME [--table DATABASE.TABLE [SCOPE]] [--reason TEXT] [--id ID] [--json] [--token TOKEN] [--url URL]
         [--config FILE]           read rows again: all tables, one, or rows of it; shows progress, ends with counts.
                                   Ends with 0 when it is done, 1 when it failed. Ctrl-C leaves the read going. Any DSS
                                   accepts it, found through DCS, or the one at URL. TOKEN has the role operate. ID makes
                                   a request that is sent again the same read; it is random when left out.
  reread list|show ID|cancel ID --source NAME [--json] [--token TOKEN] [--url URL] [--config FILE]
                                   the last reads; one of them; have one not read what is left.
  verify --source NAME [--table DATABASE.TABLE [SCOPE]] [--sinks mongo,kafka] [--second-way-share SHARE] [--json]
         [--token TOKEN] [--url URL] [--config FILE]
                                   compare the sinks with the source while both change, show progress, print a table.
                                   Ends with 0 when all is equal, 1 when rows differ, 2 when something could not be judged.
                                   SHARE, from 0 to 1, is that of the rows that are compared the second way too, by
                                   texts of MySQL itself; verification.secondWayShare of DWS when left out.
                                   Any DWS does it, as for explain. TOKEN has the role operate.
  failed-events list [--source NAME] [--table DATABASE.TABLE] [--sinks SINK] [--state STATE] | show ID |
                retry ID… | retry [--source NAME] [--table DATABASE.TABLE] [--sinks SINK] | discard ID --reason TEXT
                [--json] [--token TOKEN] [--url URL] [--config FILE]
                                   rows that a sink has refused, whose changes are held back: list them, show one, have
                                   them read again and tried now, or accept that the sink lacks one. STATE is open,
                                   discarded, delivered or ended. Any DWS answers, as for explain. TOKEN has the role
                                   operate for retry and discard.
  audit [--source NAME] [--action ACTION] [--actor NAME] [--since TIME] [--until TIME] [--limit N] [--after ID] [--json]
        [--token TOKEN] [--url URL] [--config FILE]
                                   what operators did and what Ditto decided by itself, the newest first. TIME as
                                   2026-02-03T04:05:06Z. Any DWS answers, as for explain. TOKEN has the role read.
  selftest --scratch-schema NAME [--source NAME] [--json] [--token TOKEN] [--config FILE]
                                   damage copies of a scratch table on purpose, and show that all of it is found and
                                   repaired. Ends with 0 when it was, 1 when not, 2 when it could not be tried.
  schema                           print the JSON Schema of ditto.yaml, for editors

SCOPE is one of
  --keys JSON                      rows with these keys: '[1, 2]', '[["eu", 1], ["eu", 2]]'
  --from KEY --to KEY              rows whose keys are in this range, ends included; one may be left out: 1, '["eu", 1]'
  --where CONDITION                rows that fulfil it: 'status = open', 'id in [1, 2]', 'note is not null'; may be repeated

FILE is $DITTO_CONFIG or ./ditto.yaml when left out.

Where that REST API has TLS (https): --ca FILE trusts the authorities in FILE instead of the system's, --cert FILE and
--key FILE are the certificate that it asks clients for. All are PEM. The same for explain, verify,
reread, move and audit, with --cert-key instead of --key.`;

/** Gives the exit code: 0 well, 1 errors were found, 2 the call is wrong. */
export async function runCommand(args: readonly string[], context: CommandContext): Promise<number> {
  const call = parseCall(args, context.environment);
  if (typeof call === 'string') {
    context.complain(`${call}\n\n${USAGE}`);
    return 2;
  }
  switch (call.command) {
    case 'check': {
      configureLogging({ service: 'ditto', level: 'silent' });
      const report = await runCheck(context.environment, call.config);
      context.print(call.json ? JSON.stringify(report, null, 2) : renderReport(report));
      return report.errors === 0 ? 0 : 1;
    }
    case 'restart':
    case 'resync':
    case 'rewind':
    case 'accept-log':
    case 'accept-loss':
    case 'switch': {
      configureLogging({ service: 'ditto', level: 'silent' });
      const { done, text } = await runOwnerAction(context.environment, call.config, call.request);
      (done ? context.print : context.complain)(text);
      return done ? 0 : 1;
    }
    case 'audit': {
      configureLogging({ service: 'ditto', level: 'silent' });
      const outcome = await askInstance(context.environment, call.config, call.request);
      if (!outcome.done) context.complain(outcome.text);
      else context.print(call.json ? outcome.body : renderAudit(outcome.body));
      return outcome.done ? 0 : 1;
    }
    case 'move': {
      configureLogging({ service: 'ditto', level: 'silent' });
      const outcome = await askInstance(context.environment, call.config, call.request);
      if (outcome.done) context.print(describeMove(outcome.body));
      else context.complain(outcome.text);
      return outcome.done ? 0 : 1;
    }
    case 'explain': {
      configureLogging({ service: 'ditto', level: 'silent' });
      const outcome = await askInstance(context.environment, call.config, call.request);
      if (!outcome.done) context.complain(outcome.text);
      else if (call.json) context.print(outcome.body);
      else context.print(renderExplanation(parseJsonExactly(outcome.body)));
      return outcome.done ? 0 : 1;
    }
    case 'verify': {
      configureLogging({ service: 'ditto', level: 'silent' });
      const { exit, text } = await runVerify(context.environment, call.call, (line) => context.complain(line));
      context.print(text);
      return exit;
    }
    case 'reread': {
      configureLogging({ service: 'ditto', level: 'silent' });
      const { environment, complain, awaitInterrupt } = context;
      const signal = awaitInterrupt?.() ?? new AbortController().signal;
      const { exit, text } = await runReread(environment, call.call, (line) => complain(line), signal);
      context.print(text);
      return exit;
    }
    case 'failed-events': {
      configureLogging({ service: 'ditto', level: 'silent' });
      const { exit, text } = await runFailedEvents(context.environment, call.call);
      (exit === 0 ? context.print : context.complain)(text);
      return exit;
    }
    case 'schema':
      context.print(JSON.stringify(configJsonSchema(), null, 2));
      return 0;
    case 'help':
      context.print(USAGE);
      return 0;
  }
}

type Call =
  | { readonly command: 'check' | 'schema' | 'help'; readonly config: string | undefined; readonly json: boolean }
  | { readonly command: OwnerRequest['action']; readonly config: string | undefined; readonly request: OwnerRequest }
  | { readonly command: 'move'; readonly config: string | undefined; readonly request: InstanceRequest }
  | {
      readonly command: 'explain' | 'audit';
      readonly config: string | undefined;
      readonly json: boolean;
      readonly request: InstanceRequest;
    }
  | { readonly command: 'verify'; readonly call: VerifyCall }
  | { readonly command: 'reread'; readonly call: RereadCall }
  | { readonly command: 'failed-events'; readonly call: FailedEventsCall };

/** Filters and pages of `audit`, beside `--source`. */
const AUDIT_OPTIONS = {
  action: { type: 'string' },
  actor: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  limit: { type: 'string' },
  after: { type: 'string' },
} as const;

const OPTIONS = {
  config: { type: 'string' },
  json: { type: 'boolean' },
  source: { type: 'string' },
  token: { type: 'string' },
  url: { type: 'string' },
  ca: { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
  'cert-key': { type: 'string' },
  table: { type: 'string' },
  sinks: { type: 'string' },
  ...SCOPE_OPTIONS,
  reason: { type: 'string' },
  id: { type: 'string' },
  state: { type: 'string' },
  ...AUDIT_OPTIONS,
  'second-way-share': { type: 'string' },
  server: { type: 'string' },
  gtids: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Options that not every command takes. */
const TAKEN_BY: Readonly<Record<string, readonly string[]>> = {
  table: ['explain', 'verify', 'reread', 'failed-events'],
  'cert-key': ['explain', 'verify', 'reread', 'failed-events', 'move', 'audit'],
  ...Object.fromEntries(Object.keys(AUDIT_OPTIONS).map((option) => [option, ['audit']])),
  sinks: ['verify', 'failed-events'],
  state: ['failed-events'],
  'second-way-share': ['verify'],
  ...Object.fromEntries(Object.keys(SCOPE_OPTIONS).map((option) => [option, ['verify', 'reread']])),
  to: ['verify', 'reread', 'switch', 'move'],
  server: ['accept-loss'],
  gtids: ['accept-loss'],
  reason: ['reread', 'failed-events'],
  id: ['reread'],
};

/** A text says what is wrong with the call. */
function parseCall(args: readonly string[], environment: NodeJS.ProcessEnv): Call | string {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
    const { config, json = false, source, table, sinks, token, url, help = false, reason, id, state } = values;
    const { key, ca, cert, server, gtids, 'cert-key': certKey, 'second-way-share': share, ...scope } = values;
    const tlsFiles = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
    const [command = 'help', ...rest] = positionals;
    if (help) return { command: 'help', config, json };
    if (rest.length > 0 && command !== 'reread' && command !== 'failed-events')
      return `'${command}' takes no '${rest.join(' ')}'.`;
    for (const option of Object.keys(values))
      if (TAKEN_BY[option]?.includes(command) === false) return `'${command}' takes no --${option}.`;
    const reached = { token: token ?? environment['DITTO_TOKEN'] ?? null, url: url ?? null };
    const readAccess = (): InstanceAccess => ({
      ...reached,
      tls: readTlsFiles({ ...(ca && { ca }), ...(cert && { cert }), ...(certKey && { key: certKey }) }),
    });
    switch (command) {
      case 'check':
      case 'schema':
      case 'help':
        return refuseTlsFiles(command, tlsFiles) ?? { command, config, json };
      case 'restart':
      case 'resync':
      case 'rewind':
      case 'accept-log':
      case 'accept-loss':
      case 'switch': {
        if (source === undefined) return `'${command}' needs --source NAME.`;
        const body = describeOwnerRequest(command, { to: scope.to, server, gtids });
        if (typeof body === 'string') return body;
        return { command, config, request: { action: command, source, body, ...reached, tls: readTlsFiles(tlsFiles) } };
      }
      case 'audit': {
        if (key !== undefined) return `'${command}' takes no --key.`;
        const { action, actor, since, until, limit, after } = values;
        const given = Object.entries({ source, action, actor, since, until, limit, after });
        const query = given.filter((entry): entry is [string, string] => entry[1] !== undefined);
        const path = `/audit?${new URLSearchParams(query).toString()}`;
        return { command, config, json, request: { service: 'dws', method: 'GET', path, ...readAccess() } };
      }
      case 'move': {
        if (source === undefined || scope.to === undefined) return `'move' needs --source NAME --to INSTANCE.`;
        const path = `/sources/${encodeURIComponent(source)}/move`;
        const body = { to: scope.to === 'any' ? null : scope.to };
        return { command, config, request: { service: 'dss', method: 'POST', path, body, ...readAccess() } };
      }
      case 'explain': {
        if (source === undefined || table === undefined || key === undefined)
          return `'${command}' needs --source NAME --table DATABASE.TABLE --key JSON.`;
        const path = `/explain?${new URLSearchParams({ source, table, key }).toString()}`;
        return { command, config, json, request: { service: 'dws', method: 'GET', path, ...readAccess() } };
      }
      case 'verify': {
        if (source === undefined) return `'${command}' needs --source NAME.`;
        if (key !== undefined) return `'${command}' takes no --key.`;
        const rows = parseScope(scope);
        if (Object.keys(rows).length > 0 && table === undefined) return NEEDS_TABLE;
        if (share !== undefined && !/^(0(\.\d+)?|1(\.0+)?)$/.test(share))
          return `--second-way-share must be a number from 0 to 1, not '${share}'.`;
        const order = {
          source,
          ...(table && { tables: [table] }),
          ...rows,
          ...(sinks && { sinks: sinks.split(',') }),
          ...(share && { secondWayShare: Number(share) }),
        };
        return { command, call: { config, json, order, access: readAccess() } };
      }
      case 'reread': {
        if (source === undefined) return `'${command}' needs --source NAME.`;
        if (key !== undefined) return `'${command}' takes no --key.`;
        const rows = parseScope(scope);
        if (Object.keys(rows).length > 0 && table === undefined) return NEEDS_TABLE;
        const order = { ...(table && { table }), ...rows, ...(reason && { reason }), ...(id && { id }) };
        const what = parseReread(rest, order);
        return typeof what === 'string'
          ? what
          : { command, call: { config, json, source, access: readAccess(), what } };
      }
      case 'failed-events': {
        if (key !== undefined) return `'${command}' takes no --key.`;
        const rows = { ...(source && { source }), ...(table && { table }), ...(sinks && { sink: sinks }) };
        const what = parseFailedEvents(rest, { ...rows, ...(state && { state }) }, reason);
        return typeof what === 'string' ? what : { command, call: { config, json, access: readAccess(), what } };
      }
      default:
        return `There is no command '${command}'.`;
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What the owner has to know beside the action; a text says what is missing. */
function describeOwnerRequest(
  command: OwnerRequest['action'],
  { to, server, gtids }: Readonly<Record<'to' | 'server' | 'gtids', string | undefined>>,
): NonNullable<OwnerRequest['body']> | string | null {
  if (command === 'switch') return to === undefined ? `'switch' needs --to HOST:PORT.` : { to };
  if (command !== 'accept-loss') return null;
  if (server === undefined || gtids === undefined)
    return `'accept-loss' needs --server HOST:PORT and --gtids SET, as the status of the source names them.`;
  return { server, gtids };
}

const NEEDS_TABLE = '--keys, --where, --from and --to need --table DATABASE.TABLE.';

function parseReread(
  [action, id, ...rest]: readonly string[],
  order: Extract<RereadCall['what'], { action: 'begin' }>['order'],
): RereadCall['what'] | string {
  if (action === undefined) return { action: 'begin', order };
  const [option] = Object.keys(order);
  if (option !== undefined) return `'reread ${action}' asks for no rows.`;
  if (action === 'list' && id === undefined) return { action };
  if ((action === 'show' || action === 'cancel') && id !== undefined && rest.length === 0) return { action, id };
  return `'reread' takes 'list', 'show ID' or 'cancel ID'.`;
}

function parseFailedEvents(
  [action, ...ids]: readonly string[],
  filter: Readonly<Record<string, string>>,
  reason: string | undefined,
): FailedEventsCall['what'] | string {
  const [id = ''] = ids;
  const wrong = ids.find((one) => !/^\d+$/.test(one));
  if (wrong !== undefined) return `'failed-events ${action ?? ''}' takes numbers, not '${wrong}'.`;
  const options = Object.keys(filter).length;
  if (action === 'discard' && ids.length === 1 && options === 0)
    return reason === undefined ? "'failed-events discard' needs --reason TEXT." : { action, id, reason };
  if (reason !== undefined) return `'failed-events ${action ?? ''}' takes no --reason.`;
  if (action === 'list' && ids.length === 0) return { action, filter };
  if (action === 'show' && ids.length === 1 && options === 0) return { action, id };
  if (action === 'retry' && ids.length > 0 && options === 0) return { action, order: { ids } };
  if (action === 'retry' && ids.length === 0 && options > 0 && filter['state'] === undefined)
    return { action, order: filter };
  return "'failed-events' takes 'list', 'show ID', 'retry ID…', 'retry --source NAME' or 'discard ID --reason TEXT'.";
}

function refuseTlsFiles(command: string, paths: TlsMaterial): string | null {
  const [option] = Object.keys(paths);
  return option === undefined ? null : `'${command}' takes no --${option}.`;
}

function readTlsFiles(paths: TlsMaterial): TlsMaterial {
  const entries = Object.entries(paths).map(([option, path]) => {
    try {
      return [option, readFileSync(String(path), 'utf8')] as const;
    } catch (error) {
      throw new Error(`--${option}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  });
  const material: TlsMaterial = Object.fromEntries(entries);
  const found = findTlsMaterialProblem(material);
  if (found !== null) throw new Error(`--${found.option} ${found.problem}. ${found.remedy}`);
  return material;
}
