import { type CheckFinding, DittoError, findWarning, toCheckFinding } from '#kernel';

import { KAFKA_ERROR_CODES } from './kafka-errors.ts';
import { type TopicReader } from './topic-reader.ts';

/** Rights are granted by patterns mostly: the others are like these. */
const MOST_TOPICS = 50;
const MOST_MS = 5_000;

/**
 * What keeps this user from reading topics and their settings. Messages are published without these rights; verification,
 * `explain`, and the start after a move to another server need them.
 */
export async function checkTopicReading(
  reader: Pick<TopicReader, 'findExtent' | 'readForwards' | 'readSettings'>,
  topics: readonly string[],
  signal: AbortSignal,
): Promise<readonly CheckFinding[]> {
  const withoutRead: string[] = [];
  const withoutSettings: string[] = [];
  const untilMs = performance.now() + MOST_MS;
  try {
    for (const topic of topics.slice(0, MOST_TOPICS)) {
      if (performance.now() > untilMs) break;
      if (await isDenied(() => readOne(reader, topic, signal))) withoutRead.push(topic);
      if (await isDenied(() => reader.readSettings(topic))) withoutSettings.push(topic);
    }
  } catch (error) {
    return [toCheckFinding(error, 'warning')];
  }
  return [
    ...warnOf(
      'Read',
      withoutRead,
      'they can not be verified or explained, nor looked at after a move to another server',
    ),
    ...warnOf(
      'DescribeConfigs',
      withoutSettings,
      'they can not be verified, since whether they forget rows is not known, and their settings were not checked',
    ),
  ];
}

/** One message of the first partition that has any. */
async function readOne(
  reader: Pick<TopicReader, 'findExtent' | 'readForwards'>,
  topic: string,
  signal: AbortSignal,
): Promise<void> {
  const { bounds = [] } = (await reader.findExtent(topic)) ?? {};
  const partition = bounds.findIndex(({ start, end }) => end > start);
  const bound = bounds[partition];
  if (bound === undefined) return;
  const { start } = bound;
  for await (const page of reader.readForwards(topic, partition, { start, end: start + 1 }, signal))
    if (page.messages.length > 0) return;
}

async function isDenied(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (error instanceof DittoError && error.code === KAFKA_ERROR_CODES.unauthorized) return true;
    throw error;
  }
}

function warnOf(right: string, topics: readonly string[], effect: string): CheckFinding[] {
  if (topics.length === 0) return [];
  const some =
    topics.length <= 3 ? topics.join(', ') : `${topics.slice(0, 3).join(', ')} and ${topics.length - 3} more`;
  return [
    findWarning(
      KAFKA_ERROR_CODES.unauthorized,
      `the user has no right ${right} on ${some}: ${effect}`,
      `Grant this user ${right} on the topics of the source.`,
    ),
  ];
}
