import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DittoError } from '#kernel';
import { deepFreeze } from './deep-freeze.ts';
import { findContradictions } from './find-contradictions.ts';
import { findViolations, hideOddSource, valueAt } from './find-violations.ts';
import { findWarnings } from './find-warnings.ts';
import { applyListenerOverrides } from './listener-overrides.ts';
import { type ConfigProblem, formatPath, formatPlace, type Path } from './problem.ts';
import { resolveReferences, unresolved } from './references.ts';
import { configSchema, type DittoConfig, type ParsedConfig } from './schema.ts';
import { ConfiguredText } from './secret.ts';
import { deriveServerId } from './server-id.ts';
import { SINK_NAMES, type SinkConfigs } from './sinks/registry.ts';
import { readYaml, type YamlFile } from './yaml-file.ts';

export interface LoadConfigOptions {
  /** Default: `DITTO_CONFIG` of the environment, else `ditto.yaml` in the working folder. */
  readonly path?: string;
  /** Gets what is allowed but weakens a promise or a secret, one sentence each. */
  readonly onWarning?: (warning: string) => void;
}

/** One line of a refusal, as the REST API and the command line show it. */
export interface ReportedProblem {
  readonly path: string;
  readonly line: number | null;
  readonly problem: string;
  readonly remedy: string;
}

/**
 * Reads `ditto.yaml` and the environment. The result is complete and deeply frozen. Throws `DITTO_CONFIG_INVALID` with
 * every problem in `context.problems` (`ReportedProblem[]`) and in the message; no text of a secret is in either.
 */
export function loadConfig(environment: NodeJS.ProcessEnv, options: LoadConfigOptions = {}): DittoConfig {
  const path = resolve(options.path ?? environment['DITTO_CONFIG'] ?? 'ditto.yaml');
  return parseConfig(readConfigFile(path), { environment, path, ...options });
}

export interface ParseConfigOptions {
  readonly environment?: NodeJS.ProcessEnv;
  /** Where the text came from: for messages, and for relative paths in it. */
  readonly path?: string;
  readonly onWarning?: (warning: string) => void;
}

/** `loadConfig` for text that was already read. */
export function parseConfig(text: string, options: ParseConfigOptions = {}): DittoConfig {
  const { environment = {}, path = resolve('ditto.yaml'), onWarning } = options;
  const file = readYaml(text);
  if (file.problems.length > 0) throw refuse(path, file, file.problems);
  const overridden = applyListenerOverrides(file.tree ?? {}, environment);
  const resolved = resolveReferences(overridden.tree, environment, dirname(path));
  const parsed = configSchema.safeParse(resolved.tree);
  const problems = [
    ...overridden.problems,
    ...resolved.problems,
    ...(parsed.success ? [] : findViolations(configSchema, resolved.tree, parsed.error)).filter(
      (problem) => valueAt(resolved.tree, problem.path) !== unresolved,
    ),
    ...findContradictions(resolved.tree),
  ].map(hideOddSource);
  if (!parsed.success || problems.length > 0) throw refuse(path, file, problems);
  bindFiles(parsed.data, resolved.files, []);
  const config = deepFreeze(completeConfig(parsed.data));
  if (onWarning) findWarnings(config, resolved.referenced).forEach((warning) => onWarning(warning));
  return config;
}

/** Tells each text that can be read again from which file. Changes the tree. */
function bindFiles(node: object, files: ReadonlyMap<string, () => string>, path: Path): void {
  for (const [name, value] of Object.entries(node) as [string, unknown][]) {
    const at = [...path, Array.isArray(node) ? Number(name) : name];
    const read = value instanceof ConfiguredText ? files.get(formatPath(at)) : undefined;
    if (value instanceof ConfiguredText && read !== undefined) Reflect.set(node, name, value.withFile(read));
    else if (typeof value === 'object' && value !== null) bindFiles(value, files, at);
  }
}

function completeConfig(parsed: ParsedConfig): DittoConfig {
  const { sources, dcs } = parsed;
  const sinks = Object.fromEntries(SINK_NAMES.map((name) => [name, parsed[name] ?? null])) as unknown as SinkConfigs;
  const configured = SINK_NAMES.filter((name) => sinks[name] !== null);
  const rpcHost = ['0.0.0.0', '::'].includes(dcs.rpc.host) ? '127.0.0.1' : dcs.rpc.host;
  return {
    ...parsed,
    ...sinks,
    dcs: {
      ...dcs,
      endpoints: dcs.endpoints ?? [{ host: rpcHost, port: dcs.rpc.port }],
      tls: dcs.tls ?? (dcs.rpc.tls && { rejectUnauthorized: true }),
    },
    sources: withoutPrototype(
      Object.entries(sources).map(([name, source]) => [
        name,
        { ...source, name, serverId: source.serverId ?? deriveServerId(name), sinks: source.sinks ?? configured },
      ]),
    ),
  };
}

/** Names come from requests too: `constructor` must be no source unless one is called so. */
function withoutPrototype<Value>(entries: readonly (readonly [string, Value])[]): Readonly<Record<string, Value>> {
  return Object.assign(Object.create(null) as Record<string, Value>, Object.fromEntries(entries));
}

function readConfigFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const problem = `can not be read: ${error instanceof Error ? error.message : String(error)}`;
    const remedy = 'Write one after ditto.example.yaml, or give its path in DITTO_CONFIG.';
    throw createError(path, [{ path: '', line: null, problem, remedy }], error);
  }
}

function refuse(path: string, file: YamlFile, problems: readonly ConfigProblem[]): DittoError {
  const reported = problems.map((found) => {
    const { problem, remedy } = found;
    return { path: formatPlace(found), line: file.lineOf(found.path), problem, remedy };
  });
  return createError(
    path,
    reported.sort((a, b) => (a.line ?? Number.MAX_VALUE) - (b.line ?? Number.MAX_VALUE)),
  );
}

function createError(path: string, problems: readonly ReportedProblem[], cause?: unknown): DittoError {
  const lines = problems.map(({ path: option, line, problem, remedy }) => {
    const place = `${option}${line === null ? '' : ` (line ${line})`}`.trim();
    return `  - ${place}${place === '' ? '' : ' '}${problem}. ${remedy}`;
  });
  const title = `${path} has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:`;
  return new DittoError('DITTO_CONFIG_INVALID', [title, ...lines].join('\n'), {
    remedy: 'Correct what is listed and start again; docs/configuration.md explains each option.',
    context: { path, problems },
    cause,
  });
}
