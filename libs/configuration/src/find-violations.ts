import { type z } from 'zod';
import { findSchema, holdsSecret, knownNames, type OptionFacts, readOptionFacts } from './option-facts.ts';
import { type ConfigProblem, findNearest, type Path } from './problem.ts';
import { isSourceName } from './server-sections.ts';

/**
 * Turns what zod found into problems that say how to fix them. In a section that holds secrets no text is shown, whatever
 * option it was given for: a URL or a token may be anywhere by mistake. The path and the line say where it is.
 */
export function findViolations(schema: z.ZodType, tree: unknown, error: z.ZodError): ConfigProblem[] {
  return error.issues.flatMap((issue) => describeIssue(schema, tree, issue));
}

/** What was written in place of a source's name is shown only where it looks like one. */
export function hideOddSource(problem: ConfigProblem): ConfigProblem {
  const [section, name] = problem.path;
  if (section !== 'sources' || typeof name !== 'string' || isSourceName(name) || /^\w{1,12}$/.test(name))
    return problem;
  return { ...problem, path: [section, name], hidesName: true };
}

function describeIssue(schema: z.ZodType, tree: unknown, issue: z.core.$ZodIssue): ConfigProblem[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
  const option = findSchema(schema, path);
  const [section] = path;
  const isPrivate = section !== undefined && holdsSecret(findSchema(schema, [section]) ?? schema);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => describeUnknown(option, path, key, isPrivate));
  const facts = option && readOptionFacts(option);
  const remedy = describeOption(facts);
  const value = valueAt(tree, path);
  if (value === undefined && issue.code !== 'invalid_key') return [{ path, problem: 'is missing', remedy }];
  return [{ path, problem: describeValue(issue, value, isPrivate), remedy }];
}

function describeUnknown(parent: z.core.$ZodType | null, path: Path, key: string, isPrivate: boolean): ConfigProblem {
  const known = (parent && knownNames(parent)) ?? [];
  const nearest = findNearest(key, known);
  return {
    path: [...path, key],
    hidesName: nearest === null && (isPrivate || !/^[a-z]{1,12}$/i.test(key)),
    problem: 'is not an option',
    remedy: nearest ? `Did you mean '${nearest}'?` : `Remove it; known here: ${known.join(', ')}.`,
  };
}

function describeValue(issue: z.core.$ZodIssue, value: unknown, isPrivate: boolean): string {
  const seen = `, but is ${describeSeen(value, isPrivate)}`;
  // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check -- zod's own message is enough for the others
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${article(issue.expected)}, but is ${describeSeen(value, true)}`;
    case 'invalid_value':
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}${seen}`;
    case 'too_small':
      return issue.origin === 'string' || issue.origin === 'array'
        ? issue.message
        : `must be at least ${issue.minimum}, but is ${describeSeen(value, false)}`;
    case 'too_big':
      return `must be at most ${issue.maximum}, but is ${describeSeen(value, false)}`;
    case 'invalid_key':
      return `has a name that is not allowed: ${issue.issues.map(({ message }) => message).join('; ')}`;
    default:
      return `${issue.message}${seen}`;
  }
}

/** Numbers, flags and short words are shown; of the rest, and in private, only the kind. */
function describeSeen(value: unknown, isPrivate: boolean): string {
  if (typeof value === 'string') return isPrivate ? 'text' : value.length <= 60 ? `'${value}'` : 'a long text';
  if (typeof value === 'number') return isPrivate ? 'a number' : String(value);
  if (typeof value === 'boolean') return String(value);
  if (value === null) return 'empty';
  return Array.isArray(value) ? 'a list' : 'a group of options';
}

function article(kind: string): string {
  const words: Record<string, string> = {
    string: 'text (put quotes around it)',
    int: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
    array: 'a list',
    object: 'a group of options',
    record: 'a group of names',
  };
  return words[kind] ?? kind;
}

function describeOption(facts: OptionFacts | null): string {
  if (!facts?.description) return 'See the configuration page.';
  const unit = facts.unit ? ` Unit: ${facts.unit}.` : '';
  const fallback =
    facts.default === undefined || isEmpty(facts.default) ? '' : ` Default: ${JSON.stringify(facts.default)}.`;
  return `${facts.description}${unit}${fallback}`;
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

export function valueAt(tree: unknown, path: Path): unknown {
  let value = tree;
  for (const part of path)
    value = typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[part] : undefined;
  return value;
}
