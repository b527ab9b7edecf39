import { Producer } from '@platformatic/kafka';
import { partitionForKey } from '#change-events';
import { type TopicMessage, TopicMessages } from '../oracle/topic-messages.ts';
import type { Random } from '../types/random.ts';

/** Ways to damage a topic: what is there can't be changed, so each puts one more message at the end. */
export const TOPIC_DAMAGES = ['one letter', 'lost row', 'extra row', 'older message again', 'no version'] as const;
/** `future version`: one that no change can have, which outranks every change that comes. */
export type TopicDamage = (typeof TOPIC_DAMAGES)[number] | 'future version';

export interface DamagedKey {
  readonly topic: string;
  readonly kind: TopicDamage;
  readonly key: string;
  /** Where the message is. */
  readonly partition: number;
  readonly offset: bigint;
}

type Forged = Pick<TopicMessage, 'key' | 'value' | 'headers'>;

/** Puts messages into topics that Ditto did not send. */
export class TopicSaboteur {
  readonly #messages: TopicMessages;
  readonly #producer: Producer<Buffer, Buffer | null>;
  readonly #random: Random;

  constructor(brokers: readonly string[], random: Random) {
    this.#messages = new TopicMessages(brokers);
    this.#producer = new Producer({ clientId: 'saboteur', bootstrapBrokers: [...brokers], retries: 5, acks: -1 });
    this.#random = random;
  }

  async close(): Promise<void> {
    await Promise.all([this.#messages.close(), this.#producer.close()]);
  }

  /** Damages `count` keys of a topic, each once; if `mayDamage` says so; gives those for which there was a message fit for it. */
  async damage(
    topic: string,
    count: number,
    kinds: readonly TopicDamage[] = TOPIC_DAMAGES,
    mayDamage: (key: string) => boolean = () => true,
  ): Promise<DamagedKey[]> {
    const byKey = new Map<string, TopicMessage[]>();
    const partitions = await this.#messages.countPartitions(topic);
    await this.#messages.read(topic, (message) => {
      const key = message.key?.toString() ?? 'null';
      const known = byKey.get(key);
      if (known === undefined) byKey.set(key, [message]);
      else known.push(message);
    });
    const keys = [...byKey.keys()].filter(
      (key) => key !== 'null' && mayDamage(key) && byKey.get(key)?.at(-1)?.value !== null,
    );
    const damaged: DamagedKey[] = [];
    while (damaged.length < count && keys.length > 0) {
      const [key] = keys.splice(this.#random.between(0, keys.length - 1), 1) as [string];
      const history = byKey.get(key) ?? [];
      const kind = kinds[damaged.length % kinds.length] as TopicDamage;
      const [newest] = history.slice(-1) as [TopicMessage];
      const forged = this.#forge(kind, history);
      if (forged === null) continue;
      // where Ditto would put it: a message elsewhere stays for ever, as none of the same key comes after it
      const partition = kind === 'extra row' ? partitionForKey(forged.key as Buffer, partitions) : newest.partition;
      const { offsets } = await this.#producer.send({
        messages: [
          {
            topic,
            partition,
            key: forged.key as Buffer,
            value: forged.value,
            headers: new Map(forged.headers.map(([name, value]) => [name as Buffer, value as Buffer])),
          },
        ],
      });
      const offset = offsets?.[0]?.offset;
      if (offset === undefined) throw new Error(`Kafka did not say where the message in ${topic} is.`);
      damaged.push({ topic, kind, key: forged.key?.toString() ?? '', partition, offset });
    }
    return damaged;
  }

  #forge(kind: TopicDamage, history: readonly TopicMessage[]): Forged | null {
    const [newest] = history.slice(-1) as [TopicMessage];
    const text = newest.value?.toString() ?? '';
    switch (kind) {
      case 'one letter': {
        const after = text.indexOf('"after":{');
        const source = text.lastIndexOf(',"source":{');
        const letters = [...text.matchAll(/[0-9a-z]/g)].map(({ index }) => index);
        // inside a text of the row: between `:"` and `"`
        const inside = letters.filter(
          (at) => at > after && at < source && /:"[^"\\]*$/.test(text.slice(Math.max(after, at - 60), at)),
        );
        if (after < 0 || inside.length === 0) return null;
        const at = this.#random.pick(inside);
        const letter = String.fromCharCode(text.charCodeAt(at) ^ 1);
        return { ...newest, value: Buffer.from(`${text.slice(0, at)}${letter}${text.slice(at + 1)}`) };
      }
      case 'lost row':
        return { ...newest, value: null };
      case 'extra row': {
        const key = newest.key
          ?.toString()
          .replace(/\d+/, () => String(this.#random.between(1_900_000_000, 2_000_000_000)));
        return { ...newest, key: Buffer.from(key ?? '') };
      }
      case 'older message again': {
        const [older] = history;
        return older === undefined || older === newest || older.value === null ? null : older;
      }
      case 'no version':
        return { ...newest, headers: withoutVersion(newest) };
      case 'future version': {
        const version: TopicMessage['headers'][number] = [Buffer.from('ditto.version'), Buffer.from('f'.repeat(44))];
        return { ...newest, headers: [...withoutVersion(newest), version] };
      }
    }
  }
}

function withoutVersion({ headers }: TopicMessage): TopicMessage['headers'] {
  return headers.filter(([name]) => name?.toString() !== 'ditto.version');
}
