import { type Problem } from '#platform';
import { type ServiceAnswer } from './service-call.ts';

/** What a service said that did not do what it was asked for. */
export function readProblem(url: string, { status, body }: ServiceAnswer): Problem {
  try {
    const problem: unknown = JSON.parse(body);
    if (typeof problem === 'object' && problem !== null && 'code' in problem && 'message' in problem)
      return problem as Problem;
  } catch {
    // what answered is no service of Ditto
  }
  return { code: 'DITTO_REQUEST_REFUSED', message: `${url} answered ${status}`, remedy: null };
}

/** For people, in lines. */
export function describeProblem({ code, message, remedy }: Pick<Problem, 'code' | 'message' | 'remedy'>): string {
  return [`${code}: ${message}`, ...(remedy === null ? [] : [`→ ${remedy}`])].join('\n');
}
