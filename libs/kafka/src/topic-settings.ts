import { KAFKA_ERROR_CODES, toKafkaError } from './kafka-errors.ts';

type Settings = ReadonlyMap<string, string>;

export interface TopicSettings {
  /** By topic; without those that the user may not see. */
  readonly known: ReadonlyMap<string, Settings>;
  /** Not asked for in time. */
  readonly unasked: readonly string[];
}

export interface TopicSettingsOptions {
  /** One request. Rejects for all of its topics when the user may not see the settings of one. */
  readonly describe: (topics: readonly string[]) => Promise<ReadonlyMap<string, Settings>>;
  readonly topics: readonly string[];
  /** For the requests after the first. */
  readonly mostMs: number;
  /** Milliseconds, of a clock that is never set. */
  readonly nowMs?: () => number;
}

/** Where a request is refused for one of its topics, its halves are asked for: few topics without the right cost little. */
export async function readTopicSettings({
  describe,
  topics,
  mostMs,
  nowMs = () => performance.now(),
}: TopicSettingsOptions): Promise<TopicSettings> {
  const known = new Map<string, Settings>();
  const unasked: string[] = [];
  const untilMs = nowMs() + mostMs;
  const waiting = [topics];
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    if (part !== topics && nowMs() > untilMs) {
      unasked.push(...part);
      continue;
    }
    try {
      for (const [topic, settings] of await describe(part)) known.set(topic, settings);
    } catch (cause) {
      const error = toKafkaError(cause, 'reading the settings of topics');
      if (error.code !== KAFKA_ERROR_CODES.unauthorized) throw error;
      const middle = Math.ceil(part.length / 2);
      if (part.length > 1) waiting.push(part.slice(middle), part.slice(0, middle));
    }
  }
  return { known, unasked };
}
