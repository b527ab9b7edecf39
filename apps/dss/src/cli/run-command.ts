import { parseArgs } from 'node:util';
import { configJsonSchema, configureLogging } from '#platform';
import { runCheck } from './check.ts';
import { renderReport } from './render-report.ts';

export interface CommandContext {
  readonly environment: NodeJS.ProcessEnv;
  /** Results. */
  readonly print: (text: string) => void;
  /** Mistakes in the call. */
  readonly complain: (text: string) => void;
}

const usage = `usage: npm run ditto -- COMMAND

  check [--config FILE] [--json]   try configuration, connections, server settings and grants; changes nothing.
                                   Lists every problem with its remedy; ends with 1 when there is an error.
  schema                           print the JSON Schema of ditto.yaml, for editors

FILE is $DITTO_CONFIG or ./ditto.yaml when left out.`;

/** Gives the exit code: 0 well, 1 errors were found, 2 not called rightly. */
export async function runCommand(args: readonly string[], context: CommandContext): Promise<number> {
  const call = parseCall(args);
  if (typeof call === 'string') {
    context.complain(`${call}\n\n${usage}`);
    return 2;
  }
  switch (call.command) {
    case 'check': {
      configureLogging({ service: 'ditto', level: 'silent' });
      const report = await runCheck(context.environment, call.config);
      context.print(call.json ? JSON.stringify(report, null, 2) : renderReport(report));
      return report.errors === 0 ? 0 : 1;
    }
    case 'schema':
      context.print(JSON.stringify(configJsonSchema(), null, 2));
      return 0;
    case 'help':
      context.print(usage);
      return 0;
  }
}

interface Call {
  readonly command: 'check' | 'schema' | 'help';
  readonly config: string | undefined;
  readonly json: boolean;
}

/** A text says what is wrong with the call. */
function parseCall(args: readonly string[]): Call | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { config: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    const [command = 'help', ...rest] = positionals;
    if (command !== 'check' && command !== 'schema' && command !== 'help') return `There is no command '${command}'.`;
    if (rest.length > 0) return `'${command}' takes no '${rest.join(' ')}'.`;
    return { command: values.help === true ? 'help' : command, config: values.config, json: values.json ?? false };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
