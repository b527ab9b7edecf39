import { type CheckFinding, DittoError, findError, findWarning, toCheckFinding } from '#kernel';
import { type DittoConfig, loadConfig, type ReportedProblem } from '#configuration';
import { checkDcs, checkRedisServer, checkSinks, checkState } from './check-servers.ts';
import { checkSource } from './check-source.ts';

export interface ReportedFinding extends CheckFinding {
  /** What it is about, as `source shop, 10.0.0.1:3306`. */
  readonly subject: string;
}

export interface CheckReport {
  readonly errors: number;
  readonly warnings: number;
  /** What was looked at. */
  readonly checked: readonly string[];
  /** Errors first. */
  readonly findings: readonly ReportedFinding[];
}

/** What one part of the check found. */
export interface Checked {
  readonly subject: string;
  readonly findings: readonly CheckFinding[];
}

/** Tries everything that the configuration names, changes nothing, and continues after what fails. */
export async function runCheck(environment: NodeJS.ProcessEnv, path: string | undefined): Promise<CheckReport> {
  const findings: CheckFinding[] = [];
  const onWarning = (warning: string): number =>
    findings.push(findWarning('DITTO_CONFIG_RISK', warning, 'docs/configuration.md explains each option.'));
  const config = readConfig(environment, path, onWarning, findings);
  const configuration = { subject: 'configuration', findings };
  return summarize(config === null ? [configuration] : [configuration, ...(await checkServers(config))]);
}

function readConfig(
  environment: NodeJS.ProcessEnv,
  path: string | undefined,
  onWarning: (warning: string) => void,
  findings: CheckFinding[],
): DittoConfig | null {
  try {
    return loadConfig(environment, { ...(path !== undefined && { path }), onWarning });
  } catch (error) {
    const problems = error instanceof DittoError ? error.context['problems'] : undefined;
    if (Array.isArray(problems)) findings.push(...(problems as ReportedProblem[]).map(describeProblem));
    else findings.push(toCheckFinding(error));
    return null;
  }
}

function describeProblem({ path, line, problem, remedy }: ReportedProblem): CheckFinding {
  const place = `${path}${line === null ? '' : ` (line ${line})`}`.trim();
  return findError('DITTO_CONFIG_INVALID', `${place} ${problem}`.trim(), remedy);
}

async function checkServers(config: DittoConfig): Promise<readonly Checked[]> {
  const sources = await Promise.all(Object.values(config.sources).map((source) => checkSource(source)));
  const state = await checkState(config, sources);
  const others = await Promise.all([
    ...checkSinks(config, sources),
    checkRedisServer(config),
    ...config.dcs.endpoints.map((endpoint) => checkDcs(config, endpoint)),
  ]);
  return [...sources.flatMap(({ checked }) => checked), state, ...others];
}

function summarize(parts: readonly Checked[]): CheckReport {
  const all = parts.flatMap(({ subject, findings }) => findings.map((finding) => ({ subject, ...finding })));
  const errors = all.filter(({ severity }) => severity === 'error');
  const warnings = all.filter(({ severity }) => severity === 'warning');
  return {
    errors: errors.length,
    warnings: warnings.length,
    checked: parts.map(({ subject }) => subject),
    findings: [...errors, ...warnings],
  };
}
