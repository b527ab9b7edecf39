import { type SourceConfig } from '#configuration';

/** Where changes can be followed, the better place first: a topic has each as it comes, the mirror is looked through. */
const FOLLOWED_SINKS = ['kafka', 'mongo'] as const;

export type FollowedSink = (typeof FOLLOWED_SINKS)[number];

/** The sink in which the changes of a source are followed; null: they can't be. */
export function findFollowedSink({ sinks }: Pick<SourceConfig, 'sinks'>): FollowedSink | null {
  return FOLLOWED_SINKS.find((sink) => sinks.includes(sink)) ?? null;
}
