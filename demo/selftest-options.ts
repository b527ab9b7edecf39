import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { DittoError } from '#kernel';

export interface SelftestOptions {
  readonly schema: string;
  /** Null: the only one that is configured. */
  readonly source: string | null;
  /** Null: no deployment is configured, the self-test uses one of its own. */
  readonly config: string | null;
  /** With the role `operate`; null where the services ask for none. */
  readonly token: string | null;
  readonly json: boolean;
}

export const SELFTEST_USAGE = `usage: npm run ditto -- selftest --scratch-schema NAME [--source NAME] [--token TOKEN] [--config FILE] [--json]

  Makes the table ditto_selftest in the schema NAME of the source, has it copied, damages its copies on purpose, and shows
  that a verification finds each damage and that each is repaired. Then it removes the table. No other table is touched.
  Ends with 0 when all was found and repaired, 1 when not, 2 when it could not be tried.
  NAME must be a schema that the source includes, and the source's user needs SELECT, CREATE, DROP, INSERT and UPDATE on it.
  FILE is $DITTO_CONFIG or ./ditto.yaml; without either it starts servers and services of its own, and stops them again.
`;

/** Throws `DITTO_SELFTEST_OPTIONS` for what can't be done. */
export function parseSelftestOptions(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): SelftestOptions | 'help' {
  const { values, positionals } = parse(args);
  if (values.help === true) return 'help';
  if (positionals.length > 0) throw refuse(`'selftest' takes no '${positionals.join(' ')}'.`);
  const { 'scratch-schema': schema, source = null, token, json = false, config } = values;
  if (schema === undefined || schema === '')
    throw refuse('selftest makes a table, and never chooses where: it needs --scratch-schema NAME.');
  if (schema.length > 64 || /[\0`.]/.test(schema)) throw refuse('--scratch-schema takes the name of one schema.');
  const given = config ?? environment['DITTO_CONFIG'];
  return {
    schema,
    source,
    config: given ?? (existsSync('ditto.yaml') ? 'ditto.yaml' : null),
    token: token ?? environment['DITTO_TOKEN'] ?? null,
    json,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        'scratch-schema': { type: 'string' },
        source: { type: 'string' },
        config: { type: 'string' },
        token: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
      allowPositionals: true,
    });
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(message: string): DittoError {
  return new DittoError('DITTO_SELFTEST_OPTIONS', message);
}
