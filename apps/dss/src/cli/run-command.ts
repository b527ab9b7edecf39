import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { findTlsMaterialProblem, parseJsonExactly, type TlsMaterial } from '#kernel';
import { configJsonSchema } from '#configuration';
import { configureLogging } from '#platform';
import { runCheck } from './check.ts';
import { renderReport } from './render-report.ts';
import { type OwnerRequest, runOwnerAction } from './owner-action.ts';
import { renderExplanation } from './render-explanation.ts';
import { runVerify, type VerifyCall } from './verify-command.ts';
import { askWorker, type WorkerRequest } from './worker-call.ts';

export interface CommandContext {
  readonly environment: NodeJS.ProcessEnv;
  /** Results. */
  readonly print: (text: string) => void;
  /** Mistakes in the call. */
  readonly complain: (text: string) => void;
}

const USAGE = `usage: npm run ditto -- COMMAND

  check [--config FILE] [--json]   try configuration, connections, server settings and grants; changes nothing.
                                   Lists every problem with its remedy; ends with 1 when there is an error.
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
  explain --source NAME --table DATABASE.TABLE --key JSON [--json] [--token TOKEN] [--url URL] [--config FILE]
                                   show one row everywhere: in MySQL, MongoDB, Kafka and the binary log; and why it differs.
                                   JSON is the key as in the messages of Kafka: '{"id":1}'. Any DWS answers, found through
                                   DCS, or the one at URL. TOKEN has the role read; $DITTO_TOKEN when left out.
  verify --source NAME [--table DATABASE.TABLE] [--sinks mongo,kafka] [--json] [--token TOKEN] [--url URL] [--config FILE]
                                   compare the sinks with the source while both change, show progress, print a table.
                                   Ends with 0 when all is equal, 1 when rows differ, 2 when something could not be judged.
                                   Any DWS does it, as for explain. TOKEN has the role operate.
  schema                           print the JSON Schema of ditto.yaml, for editors

FILE is $DITTO_CONFIG or ./ditto.yaml when left out.

Where that REST API has TLS (https): --ca FILE trusts the authorities in FILE instead of the system's, --cert FILE and
--key FILE are the certificate that it asks clients for. All are PEM. The same for explain and verify, with --cert-key instead of --key.`;

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
    case 'resync':
    case 'rewind':
    case 'accept-log': {
      configureLogging({ service: 'ditto', level: 'silent' });
      const { done, text } = await runOwnerAction(context.environment, call.config, call.request);
      (done ? context.print : context.complain)(text);
      return done ? 0 : 1;
    }
    case 'explain': {
      configureLogging({ service: 'ditto', level: 'silent' });
      const outcome = await askWorker(context.environment, call.config, call.request);
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
  | {
      readonly command: 'explain';
      readonly config: string | undefined;
      readonly json: boolean;
      readonly request: WorkerRequest;
    }
  | { readonly command: 'verify'; readonly call: VerifyCall };

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
  help: { type: 'boolean', short: 'h' },
} as const;

/** A text says what is wrong with the call. */
function parseCall(args: readonly string[], environment: NodeJS.ProcessEnv): Call | string {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
    const { config, json = false, source, table, sinks, token, url, help = false, ...files } = values;
    const { 'cert-key': certKey, ...tlsFiles } = files;
    const [command = 'help', ...rest] = positionals;
    if (help) return { command: 'help', config, json };
    if (rest.length > 0) return `'${command}' takes no '${rest.join(' ')}'.`;
    const access = { token: token ?? environment['DITTO_TOKEN'] ?? null, url: url ?? null };
    const asksWorker = command === 'explain' || command === 'verify';
    if (command !== 'verify' && sinks !== undefined) return `'${command}' takes no --sinks.`;
    if (!asksWorker && table !== undefined) return `'${command}' takes no --table.`;
    if (!asksWorker && certKey !== undefined) return `'${command}' takes no --cert-key.`;
    switch (command) {
      case 'check':
      case 'schema':
      case 'help':
        return refuseTlsFiles(command, tlsFiles) ?? { command, config, json };
      case 'resync':
      case 'rewind':
      case 'accept-log': {
        if (source === undefined) return `'${command}' needs --source NAME.`;
        const request = {
          action: command,
          source,
          ...access,
          tls: readTlsFiles(tlsFiles),
        } as const;
        return { command, config, request };
      }
      case 'explain': {
        const { key, ca, cert } = tlsFiles;
        if (source === undefined || table === undefined || key === undefined)
          return `'${command}' needs --source NAME --table DATABASE.TABLE --key JSON.`;
        const path = `/explain?${new URLSearchParams({ source, table, key }).toString()}`;
        const files = { ...(ca && { ca }), ...(cert && { cert }), ...(certKey && { key: certKey }) };
        return { command, config, json, request: { path, ...access, tls: readTlsFiles(files) } };
      }
      case 'verify': {
        const { key, ca, cert } = tlsFiles;
        if (source === undefined) return `'${command}' needs --source NAME.`;
        if (key !== undefined) return `'${command}' takes no --key.`;
        const files = { ...(ca && { ca }), ...(cert && { cert }), ...(certKey && { key: certKey }) };
        const order = { source, ...(table && { tables: [table] }), ...(sinks && { sinks: sinks.split(',') }) };
        return { command, call: { config, json, order, access: { ...access, tls: readTlsFiles(files) } } };
      }
      default:
        return `There is no command '${command}'.`;
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
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
