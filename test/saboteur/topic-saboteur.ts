import { Producer } from '@platformatic/kafka';
import { partitionForKey } from '#change-events';
import { type TopicMessage, TopicMessages } from '../oracle/topic-messages.ts';
import type { Random } from '../types/random.ts';

/** Ways to damage a topic: what is there can't be changed, so each puts one more message at the end. */
export const TOPIC_DAMAGES = [
  'one letter',
  'one microsecond',
  'lost row',
  'extra row',
  'older message again',
  'no version',
  'malformed version',
  'other version',
  'other table',
] as const;
/** `future version`: one that no change can have, which outranks every change of its lineage that comes. */
export type TopicDamage = (typeof TOPIC_DAMAGES)[number] | 'future version';

export interface DamagedKey {
  readonly topic: string;
  readonly kind: TopicDamage;
  readonly key: string;
  /** Of the message that was forged. */
  readonly version: string;
  /** Where the message is. */
  readonly partition: number;
  readonly offset: bigint;
}

const READ_ROW_INDEX = 'ffffffff';
const ROW_INDEX_AT = 28;

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
      const [newest] = history.slice(-1) as [TopicMessage];
      // the kind that is due, or the next one for which this key is fit
      const due = kinds.map((_, index) => kinds[(damaged.length + index) % kinds.length] as TopicDamage);
      const [first] = due.flatMap((kind) => {
        const forged = this.#forge(kind, history);
        return forged === null ? [] : { kind, forged };
      });
      if (first === undefined) continue;
      const { kind, forged } = first;
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
      damaged.push({
        ...{ topic, kind, key: forged.key?.toString() ?? '', partition, offset },
        version: versionOf(newest),
      });
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
      case 'one microsecond': {
        const [rowStart, rowEnd] = [text.indexOf('"after":{'), text.lastIndexOf(',"source":{')];
        const times = [...text.matchAll(/:\d{2}\.\d{5}(?=\dZ?")/g)].map(({ 0: found, index }) => index + found.length);
        const inside = times.filter((at) => at > rowStart && at < rowEnd);
        if (rowStart < 0 || inside.length === 0) return null;
        const at = this.#random.pick(inside);
        const digit = text[at] === '9' ? '8' : String(Number(text[at]) + 1);
        return { ...newest, value: Buffer.from(text.slice(0, at) + digit + text.slice(at + 1)) };
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
        if (older === undefined || older.value === null) return null;
        return rowOf(older) === rowOf(newest) ? null : older;
      }
      case 'no version':
        return { ...newest, headers: withoutVersion(newest) };
      case 'malformed version':
        return withVersion(newest, this.#random.pick(['', 'x'.repeat(44), versionOf(newest).slice(1)]));
      case 'other version': {
        // of the same lineage, and lower: a place in the log that is not the one in the envelope
        const version = versionOf(newest);
        if (version.startsWith(READ_ROW_INDEX, ROW_INDEX_AT)) return null; // a read has no place of its own
        const other = `${version.slice(0, 8)}00000000${'0'.repeat(12)}${version.slice(28)}`;
        return other === version ? null : withVersion(newest, other);
      }
      case 'other table': {
        const other = text.replace(/(,"source":\{.*"table":")/, '$1no_');
        return other === text ? null : { ...newest, value: Buffer.from(other) };
      }
      case 'future version':
        return withVersion(newest, `${versionOf(newest).slice(0, 8)}${'f'.repeat(36)}`);
    }
  }
}

/** Text of the row in it. */
function rowOf({ value }: TopicMessage): string {
  const text = value?.toString() ?? '';
  return text.slice(text.indexOf('"after":'), text.lastIndexOf(',"source":{'));
}

function versionOf({ headers }: TopicMessage): string {
  return headers.find(([name]) => name?.toString() === 'ditto.version')?.[1]?.toString() ?? '';
}

function withVersion(message: TopicMessage, version: string): Forged {
  const header: TopicMessage['headers'][number] = [Buffer.from('ditto.version'), Buffer.from(version)];
  return { ...message, headers: [...withoutVersion(message), header] };
}

function withoutVersion({ headers }: TopicMessage): TopicMessage['headers'] {
  return headers.filter(([name]) => name?.toString() !== 'ditto.version');
}
