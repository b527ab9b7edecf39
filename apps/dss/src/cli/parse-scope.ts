import { type RequestedScope, type ScopeCondition, type ScopeValue } from '#change-events';

export type ScopeFields = RequestedScope;

/** What the command line has of a scope. */
export interface ScopeOptions {
  readonly keys?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly where?: readonly string[] | undefined;
}

export const SCOPE_OPTIONS = {
  keys: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  where: { type: 'string', multiple: true },
} as const;

/** The scope as requests have it; nothing for none. Throws an error for people. */
export function parseScope({ keys, from, to, where }: ScopeOptions): ScopeFields {
  const isRange = from !== undefined || to !== undefined;
  if ([keys !== undefined, isRange, where !== undefined].filter(Boolean).length > 1)
    throw new Error('Give one of --keys, --where, and --from with --to.');
  if (keys !== undefined) return { keys: parseKeys(keys) };
  if (where !== undefined) return { where: where.map(parseCondition) };
  if (!isRange) return {};
  return {
    range: { ...(from !== undefined && { from: parseKey(from) }), ...(to !== undefined && { to: parseKey(to) }) },
  };
}

function parseKeys(text: string): ScopeValue[][] {
  const list = parseJson(text);
  if (!Array.isArray(list) || list.length === 0)
    throw new Error(`--keys takes a JSON list of keys, as '[1, 2]' or '[["eu", 1], ["eu", 2]]'.`);
  return list.map((key) => toKey(key, '--keys'));
}

/** A value of a key of one column, or a JSON list of values in key order. */
function parseKey(text: string): ScopeValue[] {
  const parsed = parseJson(text);
  return Array.isArray(parsed) ? toKey(parsed, '--from and --to') : [text];
}

function toKey(key: unknown, option: string): ScopeValue[] {
  const values: readonly unknown[] = Array.isArray(key) ? key : [key];
  return values.map((value) => toValue(value, option));
}

/** Every digit of a number is kept: the service takes any value as text. */
function toValue(value: unknown, option: string): ScopeValue {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value !== 'number') throw new Error(`${option}: ${JSON.stringify(value)} is no value.`);
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new Error(`${option}: ${value} is beyond 2^53; write it as text, "…", with all digits.`);
  return value;
}

const NULL_AT_END = / is (not )?null$/i;
const OPERATOR = /<=|>=|!=|[=<>]| in (?=\[)/i;

function parseCondition(text: string): ScopeCondition {
  const condition = text.trim();
  const isNull = NULL_AT_END.exec(condition);
  const operator = OPERATOR.exec(condition);
  const [found, op] =
    operator === null && isNull !== null
      ? [isNull, isNull[1] === undefined ? 'is null' : 'is not null']
      : [operator, operator?.[0].trim().toLowerCase()];
  const column = condition.slice(0, found?.index ?? 0).trim();
  if (found === null || op === undefined || column === '')
    throw new Error(`--where takes "COLUMN OPERATOR VALUE", as "status = open", not: ${text.slice(0, 200)}`);
  if (op === 'is null' || op === 'is not null') return { column, op };
  const value = condition.slice(found.index + found[0].length);
  if (op !== 'in') return { column, op: op as ScopeCondition['op'], value: unquote(value) };
  const list = parseJson(value);
  if (!Array.isArray(list) || list.length === 0)
    throw new Error(`--where "${column} in …" takes a JSON list, as '${column} in ["a", "b"]'.`);
  return { column, op, value: list.map((one) => toValue(one, '--where')) };
}

/** Quotes of JSON, or of SQL, keep white space at the ends. */
function unquote(text: string): string {
  const trimmed = text.trim();
  const parsed = trimmed.startsWith('"') ? parseJson(trimmed) : null;
  if (typeof parsed === 'string') return parsed;
  return /^'(?:[^']|'')*'$/.test(trimmed) ? trimmed.slice(1, -1).replaceAll("''", "'") : trimmed;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
