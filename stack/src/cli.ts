import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DittoError } from '#kernel';
import { attachStack, defaultServers, findCacheFolder, type ServerName, type Stack, startStack } from './index.ts';
import { readStackState } from './stack-state.ts';

const usage = `usage: npm run stack -- up|down|status [options]
  up       get and start MySQL (primary, replica, state), Kafka, MongoDB and Redis; they run until "down"
  down     end them and delete their data
  status   say which of them run
  --folder FOLDER    data of the stack (default: stacks/default in the cache folder)
  --brokers 1|3      Kafka brokers (default 1)
  --servers A,B,...  only these: ${defaultServers.join(', ')} (those of a plain "up"), mariadb
  --crash-safe       survive a power cut too (slower)
  --keep-data        down: stop the servers, leave their data
  --json             URLs as JSON
`;

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      folder: { type: 'string' },
      brokers: { type: 'string', default: '1' },
      servers: { type: 'string' },
      'crash-safe': { type: 'boolean', default: false },
      'keep-data': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function printUrls(stack: Stack, json: boolean): void {
  const urls = Object.entries(stack.urls());
  process.stdout.write(
    json
      ? `${JSON.stringify(Object.fromEntries(urls))}\n`
      : urls.map(([name, url]) => `${name.padEnd(14)} ${url}\n`).join(''),
  );
}

async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(args);
  const folder = values.folder ?? join(findCacheFolder(process.env), 'stacks', 'default');
  const [command] = positionals;
  if (command === 'up') {
    if (values.brokers !== '1' && values.brokers !== '3') throw new TypeError('--brokers is 1 or 3');
    say(`Stack in ${folder}`);
    const stack = await startStack({
      folder,
      kafkaBrokers: values.brokers === '3' ? 3 : 1,
      servers: (values.servers?.split(',') as ServerName[] | undefined) ?? defaultServers,
      durability: values['crash-safe'] ? 'crash-safe' : 'fast',
      onProgress: say,
      signal,
    });
    printUrls(stack, values.json);
    return 0;
  }
  if (command === 'down') {
    if (readStackState(folder) === null) {
      say(`No stack in ${folder}.`);
      return 0;
    }
    await (await attachStack(folder)).down({ keepData: values['keep-data'] });
    say(`Stack in ${folder} is down.`);
    return 0;
  }
  if (command === 'status') return showStatus(await attachStack(folder), values.json);
  say(usage);
  return 2;
}

async function showStatus(stack: Stack, json: boolean): Promise<number> {
  const rows = await Promise.all(
    stack.members.map(async (member) => ({ member, running: await stack.isRunning(member), url: stack.url(member) })),
  );
  const text = rows
    .map(({ member, running, url }) => `${member.padEnd(14)} ${running ? 'running' : 'stopped'}  ${url}\n`)
    .join('');
  process.stdout.write(json ? `${JSON.stringify({ kind: stack.kind, servers: rows })}\n` : text);
  return rows.every(({ running }) => running) ? 0 : 1;
}

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(name, () => stop.abort(new Error(`ended by ${name}`)));
try {
  process.exitCode = await run(process.argv.slice(2), stop.signal);
} catch (error) {
  const { message, code, remedy } = error as DittoError & Error;
  say(error instanceof DittoError ? `${code}: ${message}${remedy === null ? '' : `\n${remedy}`}` : message);
  process.exitCode = 1;
}
