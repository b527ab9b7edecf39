import { expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type ChaosReport, trustworthy } from './report.ts';

const root = join(import.meta.dirname, '../..');
/** Each has one primary killed in it. */
const LEAST_ROUNDS = 30;
const SEED = 20_261_130;

async function runChaos(args: readonly string[]): Promise<{ readonly report: ChaosReport; readonly log: string }> {
  const entry = join(root, 'test', 'chaos', 'main.ts');
  const command = ['--conditions=source', '--disable-warning=ExperimentalWarning', entry, '--json', ...args];
  const chaos = spawn(process.execPath, command, { cwd: root, env: { ...process.env, NODE_OPTIONS: '' } });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    chaos[name].on('data', (chunk: Buffer) => (output[name] += chunk.toString()));
  await new Promise((resolve) => chaos.on('close', resolve));
  if (output.stdout === '') throw new Error(`chaos has ended without a report:\n${output.stderr.slice(-3_000)}`);
  return { report: JSON.parse(output.stdout) as ChaosReport, log: output.stderr };
}

// an hour: with DITTO_TEST_LONG alone, see jest.config.js
it('I1, I2, I3, I4, I5, I7, I8: random faults under load lose nothing, reorder nothing, and raise no false alarm', async () => {
  const { report, log } = await runChaos(['--seed', String(SEED), '--minutes', '60']);
  expect({ failures: report.failures, log: report.failures.length === 0 ? '' : log.slice(-3_000) }).toEqual({
    failures: [],
    log: '',
  });
  expect(report.switches.length).toBeGreaterThanOrEqual(2 * LEAST_ROUNDS);
  expect(report.switches.filter(({ byItself }) => !byItself)).toEqual([]);
  // enough must have been timed to say that every one of them is fast enough
  expect(trustworthy(report.switches).length).toBeGreaterThanOrEqual(LEAST_ROUNDS);
  expect(report.compared).toMatchObject({ differences: 0, outOfOrder: 0 });
  expect(report.compared.messages).toBeGreaterThan(1_000);
}, 10_800_000);
