// npm run chaos: random faults under load, on servers and services of its own
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { findCacheFolder } from '#stack';
import { buildServices } from '../../demo/service-build.ts';
import { ChaosRun } from './chaos-run.ts';
import { Deployment } from './deployment.ts';
import { type ChaosOptions, parseChaosOptions, USAGE } from './options.ts';
import { renderReport } from './report.ts';

const began = performance.now();

function say(text: string): void {
  process.stderr.write(`[${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s] ${text}\n`);
}

async function runChaos({ minutes, rounds, seed, json, keep }: ChaosOptions): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => stop.abort(new Error(`ended by ${signal}`)));
  say(`seed ${seed}`);
  const folder = join(findCacheFolder(process.env), 'chaos', `${seed}-${process.pid}`);
  await buildServices(say, stop.signal);
  const deployment = await Deployment.start(folder, stop.signal);
  let holds = false;
  try {
    let until = Infinity;
    const goesOn = (done: number): boolean => {
      if (done === 0) until = performance.now() + (minutes ?? Infinity) * 60_000;
      return done < rounds && performance.now() < until;
    };
    const report = await new ChaosRun({ deployment, seed, goesOn, say, signal: stop.signal }).run();
    holds = report.failures.length === 0;
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${renderReport(report).join('\n')}\n`);
  } finally {
    await deployment.close();
    if (holds && !keep) rmSync(folder, { recursive: true, force: true });
    else say(`Logs are in ${folder}.`);
  }
  return holds ? 0 : 1;
}

async function main(): Promise<number> {
  let options: ChaosOptions | 'help';
  try {
    options = parseChaosOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  return runChaos(options);
}

process.exit(await main());
