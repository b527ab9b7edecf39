import { type CheckReport, type ReportedFinding } from './check.ts';

/** Errors before warnings, and below that by what they are about. */
export function renderReport({ findings, checked, errors, warnings }: CheckReport): string {
  const parts = (['error', 'warning'] as const).flatMap((severity) => {
    const bySubject = Map.groupBy(
      findings.filter((finding) => finding.severity === severity),
      ({ subject }) => subject,
    );
    if (bySubject.size === 0) return [];
    const groups = [...bySubject].map(([subject, group]) => `${subject}\n${group.map(renderFinding).join('\n')}`);
    return [severity === 'error' ? 'ERRORS' : 'WARNINGS', ...groups];
  });
  const summary = `${countOf(errors, 'error')}, ${countOf(warnings, 'warning')}; checked: ${checked.join(', ')}`;
  return [...parts, summary].join('\n\n');
}

function renderFinding({ code, message, remedy }: ReportedFinding): string {
  return `  - ${message} [${code}]\n      ${remedy}`;
}

function countOf(count: number, noun: string): string {
  return `${count === 0 ? 'no' : count} ${noun}${count === 1 ? '' : 's'}`;
}
