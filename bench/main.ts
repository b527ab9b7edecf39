// npm run --silent bench -- COMMAND: one JSON line per result on standard output, progress on standard error.
import { DittoError } from '#kernel';
import { readLastLines } from '../demo/service-process.ts';
import { runDecode } from './decode.ts';
import { runDrain } from './drain.ts';
import { BenchEnvironment } from './environment.ts';
import { runPublish } from './kafka-publisher.ts';
import { runIdle } from './idle.ts';
import { runLatency } from './latency.ts';
import { type BenchOptions, parseBenchOptions, USAGE } from './options.ts';
import { runRestart } from './restart.ts';
import { runSnapshot } from './snapshot.ts';
import { runTables } from './small-tables.ts';
import { runVerify } from './verify.ts';

const LOG_LINES = 15;

function say(line: string): void {
  process.stderr.write(`[${(performance.now() / 1000).toFixed(1).padStart(6)} s] ${line}\n`);
}

function printResult(result: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

function measure(environment: BenchEnvironment, options: BenchOptions): Promise<object> {
  switch (options.command) {
    case 'drain':
      return runDrain(environment, options);
    case 'latency':
      return runLatency(environment, options);
    case 'snapshot':
      return runSnapshot(environment, options);
    case 'tables':
      return runTables(environment, options);
    case 'restart':
      return runRestart(environment, options);
    case 'verify':
      return runVerify(environment, options);
    case 'idle':
      return runIdle(environment, options);
  }
}

async function runOnce(options: BenchOptions, signal: AbortSignal): Promise<void> {
  const snapshot = ['snapshot', 'tables', 'verify'].includes(options.command) ? 'windowed' : 'none';
  const environment = new BenchEnvironment({ options, snapshot, say, signal });
  let deleteFolder = false;
  try {
    await environment.open();
    const result = await measure(environment, options);
    printResult({ bench: options.command, sinks: options.sinks, ...result, ...environment.describe() });
    deleteFolder = true;
  } catch (error) {
    deleteFolder = signal.aborted;
    if (!signal.aborted) say(`Logs are in ${environment.folder}.`);
    throw error;
  } finally {
    say('Stopping what was started …');
    await environment.close({ deleteFolder });
  }
}

/** Ctrl-C reaches this process more than once (from the terminal and from npm): the first one counts. */
function listenForStop(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => stop.abort(new DittoError('DITTO_BENCH_INTERRUPTED', `Ended by ${signal}.`)));
  return stop.signal;
}

function reportFailure(error: unknown): void {
  say(`The bench failed: ${error instanceof Error ? error.message : String(error)}`);
  for (let cause = error instanceof Error ? error.cause : undefined; cause instanceof Error; cause = cause.cause)
    say(`  because: ${cause.message}`);
  if (!(error instanceof DittoError)) return;
  const { log, lines, ...context } = error.context;
  say(`Code: ${error.code} ${JSON.stringify(context)}`);
  if (error.remedy !== null) say(`Remedy: ${error.remedy}`);
  const shown = Array.isArray(lines) ? lines.map(String) : typeof log === 'string' ? readLastLines(log, LOG_LINES) : [];
  for (const line of shown) say(`  ${line}`);
}

/** An exit code where there is nothing to run. */
function readOptions(args: readonly string[]): BenchOptions | number {
  try {
    const options = parseBenchOptions(args);
    if (options !== 'help') return options;
    process.stderr.write(USAGE);
    return args.length === 0 ? 2 : 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
}

async function main(args: readonly string[]): Promise<number> {
  const signal = listenForStop();
  try {
    if (args[0] === 'decode') return await runDecode(args.slice(1), { print: printResult, say, signal });
    const options = readOptions(args);
    if (typeof options === 'number') return options;
    for (let run = 1; run <= options.repeat; run++) {
      if (options.repeat > 1) say(`Run ${run} of ${options.repeat}`);
      await runOnce(options, signal);
    }
    return 0;
  } catch (error) {
    if (signal.aborted) return 130;
    reportFailure(error);
    return 1;
  }
}

const [command, ...rest] = process.argv.slice(2);
// the publisher alone starts nothing that would have to be stopped: there Ctrl-C may end the process as it is
process.exit(await (command === 'publish' ? runPublish(rest, printResult) : main(process.argv.slice(2))));
