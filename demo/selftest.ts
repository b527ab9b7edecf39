// What `npm run ditto -- selftest` runs.
import { randomBytes } from 'node:crypto';
import { DittoError, toDittoError } from '#kernel';
import type { OwnDeployment as OwnDeploymentOf } from './own-deployment.ts';
import { parseSelftestOptions, SELFTEST_USAGE, type SelftestOptions } from './selftest-options.ts';

/** Ctrl-C reaches this process more than once (from the terminal and from npm): the first one counts. */
function listenForStop(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (stop.signal.aborted) return;
      process.stderr.write('Stopping, and removing what was made …\n');
      stop.abort(new DittoError('DITTO_SELFTEST_UNTRIED', `The self-test was ended by ${signal}.`));
    });
  return stop.signal;
}

async function selftest(options: SelftestOptions): Promise<0 | 1 | 2> {
  const signal = listenForStop();
  const runId = randomBytes(3).toString('hex');
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const [{ loadConfig }, { runSelftest }, { OwnDeployment }, { renderSelftest }] = await Promise.all([
    import('#configuration'),
    import('./selftest-run.ts'),
    import('./own-deployment.ts'),
    import('./selftest-report.ts'),
  ]);
  let own: OwnDeploymentOf | null = null;
  try {
    if (options.config === null) own = await OwnDeployment.start(runId, options.schema, say, signal);
    const config = loadConfig(process.env, { path: own?.configuration ?? options.config ?? '' });
    const report = await runSelftest({ config, options, seed: Number.parseInt(runId, 16), say, signal });
    process.stdout.write(`${options.json ? JSON.stringify(report, null, 2) : renderSelftest(report).join('\n')}\n`);
    return report.isGood ? 0 : 1;
  } catch (error) {
    const { code, message, remedy } = toDittoError(error);
    say(`${code}: ${message}${remedy === null ? '' : `\n→ ${remedy}`}`);
    return 2;
  } finally {
    await own?.stop().catch((error: unknown) => say(`Not everything could be stopped: ${toDittoError(error).message}`));
  }
}

async function main(): Promise<number> {
  try {
    const options = parseSelftestOptions(process.argv.slice(2), process.env);
    if (options !== 'help') return await selftest(options);
    process.stdout.write(SELFTEST_USAGE);
    return 0;
  } catch (error) {
    process.stderr.write(`${toDittoError(error).message}\n\n${SELFTEST_USAGE}`);
    return 2;
  }
}

process.exit(await main());
