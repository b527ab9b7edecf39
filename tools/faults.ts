// npm run test:faults: which of the hand-written faults in tools/faults the specs notice.
// usage: npm run test:faults [-- LIST|TEXT ...]   default: every list of the table in docs/mutants.md
// LIST is the name of a list, TEXT a part of the name or path of faults. A list whose score is below its score in the
// table fails the run; one whose score was not measured is not held. Some minutes for all lists on two cores: not in
// npm test.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Fault, findSpecs, listNames, readFaultList, readFaultScores } from './fault-lists.ts';
import { type Outcome, rateList, readReport, type Tried } from './fault-results.ts';

const root = join(import.meta.dirname, '..');
const results = join(root, '.cache', 'faults');
const AT_ONCE = 2;
/** What waits for ever because of a fault has noticed it. */
const LIMIT_MS = 180_000;

async function runSpecs(specs: readonly string[], fault: Fault, report: string): Promise<Tried> {
  rmSync(report, { force: true });
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const args = [
    '--config',
    join('tools', 'faults.jest.config.js'),
    '--runInBand',
    '--bail=1',
    '--silent',
    '--forceExit',
  ];
  const child = spawn(
    process.execPath,
    [...flags, jest, ...args, '--json', `--outputFile=${report}`, '--runTestsByPath', ...specs],
    {
      cwd: root,
      env: { ...process.env, NODE_OPTIONS: '', DITTO_FAULT: JSON.stringify(fault) },
      stdio: 'ignore',
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
    },
  );
  await new Promise((resolve) => child.on('close', resolve));
  if (child.signalCode !== null) return { outcome: 'Timeout', by: null };
  return readReport(root, report);
}

/**
 * The spec that the list names; where that does not notice the fault, the other specs of the same lib. Those are many: that
 * they take too long together says nothing on a busy machine.
 */
async function tryFault(fault: Fault, report: string): Promise<Tried> {
  if (fault.spec !== null) {
    const tried = await runSpecs([fault.spec], fault, report);
    if (tried.outcome !== 'Survived') return tried;
  }
  const others = findSpecs(root, fault).filter((path) => path !== fault.spec);
  const tried = await runSpecs(others, fault, report);
  return tried.outcome === 'Timeout' ? { outcome: 'Survived', by: null } : tried;
}

async function tryList(list: string, faults: readonly Fault[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const waiting = [...faults];
  const work = async (report: string): Promise<void> => {
    for (let fault = waiting.shift(); fault !== undefined; fault = waiting.shift()) {
      const { outcome, by } = await tryFault(fault, report);
      outcomes.push(outcome);
      const isAsListed = outcome === 'Killed' && by === fault.spec;
      const says = isAsListed
        ? `noticed by ${by}`
        : `${outcome}${by === null ? '' : `, ${by}`} (listed: ${fault.spec ?? 'none'})`;
      process.stdout.write(`${list}: ${fault.file}: ${fault.name}: ${says}\n`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => work(join(results, `${index}.json`))));
  return outcomes;
}

process.chdir(root);
mkdirSync(results, { recursive: true });
const wanted = process.argv.slice(2);
const scores = readFaultScores(readFileSync(join(root, 'docs', 'mutants.md'), 'utf8'));
let isBelow = false;
for (const list of listNames(root)) {
  const all = readFaultList(root, list);
  const isWhole = wanted.length === 0 || wanted.includes(list);
  const faults = isWhole
    ? all
    : all.filter(({ file, name }) => wanted.some((text) => `${file}: ${name}`.includes(text)));
  if (faults.length === 0) continue;
  const outcomes = await tryList(list, faults);
  const { isBelow: isListBelow, line } = rateList(list, { outcomes, isWhole, floor: scores.get(list) ?? null });
  isBelow ||= isListBelow;
  process.stdout.write(`${line}\n`);
}
process.exitCode = isBelow ? 1 : 0;
