import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DittoError } from '#kernel';
import { describeFailure } from './failure.ts';
import { LiveView } from './live-view.ts';
import { type DemoOptions, parseDemoOptions, USAGE } from './options.ts';

const view = new LiveView(process.stdout);

/** Ctrl-C reaches this process more than once (from the terminal and from npm): the first one counts. */
function listenForStop(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (stop.signal.aborted) return;
      view.keep();
      view.line('Stopping everything that was started …');
      stop.abort(new DittoError('DITTO_DEMO_INTERRUPTED', `The demo was ended by ${signal}.`));
    });
  return stop.signal;
}

/** The drivers take a while to load; the first line is out before. */
async function loadRun() {
  const [{ findCacheFolder }, { DemoRun }] = await Promise.all([import('#stack'), import('./demo-run.ts')]);
  return { findCacheFolder, DemoRun };
}

async function runDemo(options: DemoOptions): Promise<number> {
  view.line("Ditto's demo: MySQL → Kafka and MongoDB, with a proof at the end.");
  const signal = listenForStop();
  const { findCacheFolder, DemoRun } = await loadRun();
  const runId = randomBytes(3).toString('hex');
  const folder = join(findCacheFolder(process.env), 'demo', runId);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  view.line(`Everything it makes is in ${folder}`);
  const run = new DemoRun(options, folder, runId, view, signal);
  try {
    const agree = await run.run();
    view.line('');
    for (const service of run.services) view.line(`${service.name.toUpperCase()}  ${service.url}/docs`);
    if (options.keep) {
      run.keep();
      view.line(`All of it keeps running. To stop it: npm run demo -- --stop ${folder}`);
    } else await run.close({ deleteFolder: agree });
    if (!agree && !options.keep) view.line(`Logs are in ${folder}.`);
    if (!options.keep) view.line('All of it is stopped again; --keep leaves it running.');
    return agree ? 0 : 1;
  } catch (error) {
    view.keep();
    if (!signal.aborted) for (const line of ['', ...describeFailure(error, folder)]) view.line(line);
    const stopped = await run.close({ deleteFolder: signal.aborted }).then(
      () => 'Everything that was started is stopped.',
      (problem: unknown) => `Not everything could be stopped: ${String(problem)}. What is left is named in ${folder}.`,
    );
    view.line(stopped);
    return signal.aborted ? 130 : 1;
  }
}

async function main(): Promise<number> {
  let options: DemoOptions | 'help';
  try {
    options = parseDemoOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  if (options.stop === null) return runDemo(options);
  const { stopKeptRun } = await import('./kept-run.ts');
  await stopKeptRun(options.stop, (line) => view.line(line));
  return 0;
}

process.exit(await main());
