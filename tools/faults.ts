// npm run test:faults: which of the hand-written faults in tools/faults the specs notice.
// usage: npm run test:faults [-- LIST|TEXT ...]   default: every list of the table in docs/mutants.md
// LIST is the name of a list, TEXT a part of the name or path of faults. A list whose score is below its score in the
// table fails the run. Some minutes for all lists on two cores: not in npm test.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { rateMutants } from './mutation-scores.ts';
import { type Fault, findSpecs, listNames, readFaultList, readFaultScores } from './fault-lists.ts';

const root = join(import.meta.dirname, '..');
const results = join(root, '.cache', 'faults');
const AT_ONCE = 2;
/** What waits for ever because of a fault has noticed it. */
const LIMIT_MS = 180_000;

type Outcome = 'Killed' | 'Timeout' | 'Survived' | 'RuntimeError';

interface JestReport {
  readonly numFailedTests: number;
  readonly numPassedTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly { readonly name: string; readonly status: string }[];
}

interface Tried {
  readonly outcome: Outcome;
  /** The spec that noticed it; null where none did, or it is not known which. */
  readonly by: string | null;
}

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
  return rateReport(JSON.parse(readFileSync(report, 'utf8')) as JestReport);
}

/** Specs that can't even be loaded have noticed nothing: the fault is no program. */
function rateReport(report: JestReport): Tried {
  const { numFailedTests, numPassedTests, numRuntimeErrorTestSuites, testResults } = report;
  const name = testResults.find(({ status }) => status === 'failed')?.name ?? null;
  if (numFailedTests > 0) return { outcome: 'Killed', by: name && relative(root, name) };
  return { outcome: numRuntimeErrorTestSuites > 0 || numPassedTests === 0 ? 'RuntimeError' : 'Survived', by: null };
}

/** The spec that the list names; where that does not notice the fault, the other specs of the same lib. */
async function tryFault(fault: Fault, report: string): Promise<Tried> {
  if (fault.spec !== null) {
    const tried = await runSpecs([fault.spec], fault, report);
    if (tried.outcome !== 'Survived') return tried;
  }
  const others = findSpecs(root, fault).filter((path) => path !== fault.spec);
  return runSpecs(others, fault, report);
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
  const broken = outcomes.filter((outcome) => outcome === 'RuntimeError').length;
  const score = rateMutants(outcomes.map((status) => ({ status }))) ?? 0;
  const floor = scores.get(list) ?? 0;
  isBelow ||= broken > 0 || (isWhole && score < floor);
  const noticed = outcomes.filter((outcome) => outcome === 'Killed' || outcome === 'Timeout').length;
  process.stdout.write(
    `${list}: ${noticed} of ${faults.length} noticed, ${score} % (docs/mutants.md: ${floor} %)${broken > 0 ? `, ${broken} do not run` : ''}\n`,
  );
}
process.exitCode = isBelow ? 1 : 0;
