import { type ServiceStatus } from '#dcs-client';
import { z } from 'zod';
import { type RecentStatus } from './recent-source.ts';

/** What a worker reports of itself: by source and sink. */
export const recentReportSchema = z.record(
  z.string(),
  z.record(
    z.string(),
    z.object({
      verified: z.number(),
      leftOut: z.number(),
      waiting: z.number(),
      behindMs: z.number(),
      holdingBecause: z.string().nullable(),
    }),
  ),
);
export type RecentReport = z.output<typeof recentReportSchema>;

/**
 * What a worker says of itself. One that can't follow the changes of a source verifies what it knows already: the reason
 * belongs to each sink of that source.
 */
export function toRecentReport(
  statuses: ReadonlyMap<string, ReadonlyMap<string, RecentStatus>>,
  followers: readonly { readonly holdingBecause: (source: string) => string | null }[],
): RecentReport {
  const report: RecentReport = {};
  for (const [source, sinks] of statuses) {
    const reasons = followers.map((follower) => follower.holdingBecause(source));
    const standing = reasons.find((reason) => reason !== null) ?? null;
    const entries = [...sinks].map(([sink, status]): [string, RecentStatus] => {
      const { verified, leftOut, waiting, behindMs, holdingBecause } = status;
      return [sink, { verified, leftOut, waiting, behindMs, holdingBecause: holdingBecause ?? standing }];
    });
    report[source] = Object.fromEntries(entries);
  }
  return report;
}

export interface SinkRecent extends RecentStatus {
  readonly sink: string;
  /** Those that verify rows of this source soon after they have changed. */
  readonly workers: number;
}

/** All workers together, as they have reported themselves last. */
export function sumRecent(
  services: readonly Pick<ServiceStatus, 'service' | 'details'>[],
  source: string,
): SinkRecent[] {
  const sums = new Map<string, SinkRecent>();
  for (const { service, details } of services) {
    const report = service === 'dws' ? recentReportSchema.safeParse(details['recent']) : null;
    for (const [sink, one] of Object.entries(report?.data?.[source] ?? {})) {
      const sum = sums.get(sink);
      sums.set(sink, {
        sink,
        workers: (sum?.workers ?? 0) + 1,
        verified: (sum?.verified ?? 0) + one.verified,
        leftOut: (sum?.leftOut ?? 0) + one.leftOut,
        waiting: (sum?.waiting ?? 0) + one.waiting,
        behindMs: Math.max(sum?.behindMs ?? 0, one.behindMs),
        holdingBecause: sum?.holdingBecause ?? one.holdingBecause,
      });
    }
  }
  return [...sums.values()].sort((a, b) => (a.sink < b.sink ? -1 : 1));
}
