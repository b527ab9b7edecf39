import { findReason } from '#kernel';

/** One error among those that an error carries. */
export type ErrorLink = Readonly<Record<string, unknown>>;

const MOST_DEPTH = 8;
const MOST_LINKS = 40;
/** Of the errors of one answer. */
const FEW_ERRORS = 5;

/** An error and all errors in it, outermost first. */
export function linksOf(error: unknown, depth = 0): ErrorLink[] {
  if (typeof error !== 'object' || error === null || depth > MOST_DEPTH) return [];
  const link = error as ErrorLink;
  const inner = [link['cause'], link['originalError'], ...listOf(link['errors'])];
  return [link, ...inner.flatMap((one) => linksOf(one, depth + 1))];
}

/**
 * The error; or, where an answer brought one for each of thousands of partitions, what it says and a few of them. Each
 * has a stack of its own, and an error is held for as long as what failed waits to be tried again (I9).
 */
export function shortenError(error: unknown): unknown {
  const links = linksOf(error);
  if (links.length <= MOST_LINKS) return error;
  const innermost = links.filter((link) => listOf(link['errors']).length === 0);
  return new AggregateError(innermost.slice(0, FEW_ERRORS), describeErrors(error));
}

/** What the newest attempt failed with, from the outside in; how often there were attempts is left out. */
export function describeErrors(error: unknown): string {
  const messages: string[] = [];
  let link = error;
  for (let depth = 0; typeof link === 'object' && link !== null && depth <= MOST_DEPTH; depth++) {
    const { serverErrorMessage, cause, errors } = link as ErrorLink;
    const isAggregate = Array.isArray(errors) && errors.length > 0;
    if (!isAggregate) for (const text of [findReason(link), serverErrorMessage]) note(messages, text);
    link = isAggregate ? errors.at(-1) : cause;
  }
  return messages.length > 0 ? messages.join(': ') : String(error);
}

function note(messages: string[], text: unknown): void {
  if (typeof text !== 'string' || text === '') return;
  const short = withoutPlaces(text).replace(/\.$/, '');
  if (!messages.some((before) => before.endsWith(short))) messages.push(short);
}

/** OpenSSL names its own source files and lines. */
function withoutPlaces(text: string): string {
  const [before, after] = text.split(':SSL routines:', 2);
  const reason = after?.split(':')[1];
  if (before === undefined || reason === undefined) return text;
  const [upToThread = ''] = before.split(':error:', 1);
  return upToThread.slice(0, upToThread.lastIndexOf(' ') + 1) + reason;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
