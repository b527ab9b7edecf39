import { LISTENERS } from './listeners.ts';
import { type ConfigProblem } from './problem.ts';

export interface ListenerOverride {
  readonly variable: string;
  readonly path: readonly [string, string, 'host' | 'port' | 'advertise'];
}

/** The options that the environment overrides, because they differ between the processes that share one file. */
export const listenerOverrides: readonly ListenerOverride[] = LISTENERS.flatMap(([service, kind]) =>
  (['host', 'port', ...(kind === 'http' ? (['advertise'] as const) : [])] as const).map((key) => ({
    variable: `DITTO_${service}_${kind}_${key}`.toUpperCase(),
    path: [service, kind, key] as const,
  })),
);

/** Puts the variables that are set into `tree`; a tree that has something else than a group on the way is left alone. */
export function applyListenerOverrides(tree: unknown, environment: NodeJS.ProcessEnv) {
  const problems: ConfigProblem[] = [];
  const result = copyGroup(tree);
  for (const { variable, path } of listenerOverrides) {
    const value = environment[variable];
    if (value === undefined || value === '') continue;
    if (path[2] === 'port' && !/^\d+$/.test(value)) {
      problems.push({
        path,
        problem: `the environment variable ${variable} is not a number: '${value}'`,
        remedy: 'Give a TCP port.',
      });
      continue;
    }
    let group: Record<string, unknown> | null = result;
    for (const part of path.slice(0, -1)) group = openGroup(group, part);
    if (group) group[path[2]] = path[2] === 'port' ? Number(value) : value;
  }
  return { tree: result ?? tree, problems };
}

function copyGroup(tree: unknown): Record<string, unknown> | null {
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree) ? { ...tree } : null;
}

function openGroup(parent: Record<string, unknown> | null, name: string): Record<string, unknown> | null {
  if (parent === null) return null;
  const group = copyGroup(parent[name] ?? {});
  if (group) parent[name] = group;
  return group;
}
