import { z } from 'zod';
import { listenerOverrides } from './listener-overrides.ts';
import { type OptionFacts, readOptionFacts } from './option-facts.ts';
import { configSchema } from './schema.ts';

interface OptionRow {
  readonly path: string;
  readonly facts: OptionFacts;
}

/** The text of `docs/configuration.md`: every option with type, default, unit and meaning, from the schema. */
export function renderConfigurationPage(): string {
  const sections = Object.entries(configSchema.shape).map(([name, schema]) => renderSection(name, schema));
  return [INTRODUCTION, ...sections, renderEnvironment()].join('\n\n').concat('\n');
}

const INTRODUCTION = `# Configuration

<!-- Generated from the schema: npm run docs -->

One file, \`ditto.yaml\`, configures all three services. Each reads it at its start from the working folder, or from the path in \`DITTO_CONFIG\`. A file that is not right is refused with every problem at once, before anything is touched; the result does not change while a service runs, except for secrets from files (below).

\`ditto.example.yaml\` is an example to begin with. Editors check the file with \`docs/ditto.schema.json\`.

- Durations end in \`Ms\` and are milliseconds. Sizes end in \`Bytes\`: a number, or text such as \`32 MiB\`.
- **Any text may be kept elsewhere:** \`{ env: NAME }\` takes it from the environment, \`{ file: PATH }\` from a file (relative to the configuration file; one line end at its end is left out). A secret from a file is read again when connections are made again: those to a source, its Kafka and its MongoDB whenever the source is opened, also by \`POST /sources/<name>/restart\`. So are \`ca\`, \`cert\` and \`key\` of their \`tls\`, together: while they do not belong together, in the middle of a renewal, those that did are used. All else is read once, at the start, also what the connections to DCS, Redis and the state database use. \`\${NAME}\` within text has no meaning.
- Secrets are never shown, in logs or in errors. One that is in the file itself is allowed, and warned about.`;

const PROCESS_VARIABLES = `| variable | meaning |
|---|---|
| \`DITTO_CONFIG\` | path of the file |
| \`DITTO_LIVENESS_FILE\` | path of a file that the service touches every 2 s, from when it listens, as long as its event loop turns; none by default. The images have one in \`/dev/shm\`, whose age their health check looks at |`;

function renderSection(name: string, schema: z.core.$ZodType): string {
  const facts = readOptionFacts(schema);
  const rows = listOptions(facts.core, name);
  const optional = facts.optional ? '' : ' Must be given.';
  const table = ['| option | type | default | meaning |', '|---|---|---|---|', ...rows.map(renderRow)].join('\n');
  return [`## ${name}`, `${facts.description}${optional}`, table].join('\n\n');
}

/** `sources.<name>.endpoints[].port` for what is in names and lists. */
function listOptions(core: z.core.$ZodType, path: string): OptionRow[] {
  if (core instanceof z.ZodObject)
    return Object.entries(core.shape as Record<string, z.core.$ZodType>).flatMap(([name, inner]) =>
      listOption(inner, `${path}.${name}`),
    );
  if (core instanceof z.ZodRecord) return listOption(core.valueType, `${path}.<name>`);
  return [];
}

function listOption(schema: z.core.$ZodType, path: string): OptionRow[] {
  const facts = readOptionFacts(schema);
  const row = { path, facts };
  if (facts.core instanceof z.ZodObject) return [row, ...listOptions(facts.core, path)];
  if (facts.core instanceof z.ZodArray) {
    const { core } = readOptionFacts(facts.core.element);
    return [row, ...listOptions(core, `${path}[]`)];
  }
  return [row];
}

function renderRow({ path, facts }: OptionRow): string {
  const cells = [`\`${path}\``, describeType(facts), describeDefault(facts), facts.description];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function describeType({ core, unit, secret }: OptionFacts): string {
  if (secret) return 'secret text';
  if (unit === 'bytes') return 'size';
  const name = describeCore(core);
  return unit === null ? name : `${name} (${unit})`;
}

function describeCore(core: z.core.$ZodType): string {
  if (core instanceof z.ZodEnum) return core.options.map((option) => `\`${option}\``).join(', ');
  if (core instanceof z.ZodLiteral) return [...core.values].map((value) => `\`${String(value)}\``).join(', ');
  if (core instanceof z.ZodUnion) return core.options.map((option) => describeCore(option)).join(' or ');
  if (core instanceof z.ZodArray) return `list of ${describeCore(readOptionFacts(core.element).core)}`;
  if (core instanceof z.ZodNumber) return 'number';
  if (core instanceof z.ZodBoolean) return 'true or false';
  if (core instanceof z.ZodString) return 'text';
  return core instanceof z.ZodRecord ? 'names' : 'group';
}

function describeDefault({ core, optional, default: fallback }: OptionFacts): string {
  if (!optional) return '**required**';
  if (fallback === undefined || core instanceof z.ZodObject) return '';
  if (fallback === '') return 'empty';
  return `\`${typeof fallback === 'string' ? fallback : JSON.stringify(fallback)}\``;
}

function renderEnvironment(): string {
  const rows = listenerOverrides.map(({ variable, path }) => `| \`${variable}\` | \`${path.join('.')}\` |`);
  return [
    '## Environment',
    'Processes that share one file differ in where they listen. These variables win over the file:',
    ['| variable | option |', '|---|---|', ...rows].join('\n'),
    'These are not in the file:',
    PROCESS_VARIABLES,
  ].join('\n\n');
}
