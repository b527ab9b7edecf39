import module from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * The first thing that a process does, before it loads its program: what an earlier start has compiled is used again,
 * and traces show Ditto's own sources. A signal ends the process at once until the program takes signals itself: the
 * first process of a container would ignore them.
 */
export function prepareProcess(): void {
  for (const signal of SIGNALS) process.on(signal, endAtOnce);
  module.enableCompileCache(join(dirname(process.argv[1] ?? ''), 'compile-cache'));
  module.setSourceMapsSupport(true, { nodeModules: false, generatedCode: false });
}

/** From now on the program ends itself when it gets a signal. */
export function takeSignals(onSignal: (signal: NodeJS.Signals) => void): void {
  for (const signal of SIGNALS) process.on(signal, onSignal).off(signal, endAtOnce);
}

function endAtOnce(signal: (typeof SIGNALS)[number]): never {
  process.exit(128 + constants.signals[signal]);
}
