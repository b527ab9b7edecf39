import { setTimeout as sleep } from 'node:timers/promises';
import { collectionName } from '#change-events';
import { mirrorDatabase } from '#mongo';
import { topicOf, TopicMessages, type TopicMessage } from '../oracle/topic-messages.ts';
import {
  type Damage,
  damageOfDocument,
  damageOfMessage,
  DamageLedger,
  type Histories,
  keyOfId,
  keyOfMessage,
} from '../saboteur/damage-ledger.ts';
import { type DamagedDocument, MIRROR_DAMAGES, MirrorSaboteur } from '../saboteur/mirror-saboteur.ts';
import { TOPIC_DAMAGES, type TopicDamage, TopicSaboteur } from '../saboteur/topic-saboteur.ts';
import { type Random } from '../types/random.ts';
import { type World } from './world.ts';

/** FerretDB, which is used in place of MongoDB, may write over a damage what was asked of it before. */
const WRITTEN_WITHIN_MS = 300;

/** Damages both sinks of a world, and keeps the ledger of it. */
export class Sabotage {
  readonly ledger = new DamageLedger();
  /** The number of the next run of verification: the first that must find what is damaged now. */
  nextRun = 0;
  readonly #world: World;
  readonly #random: Random;
  readonly #mirror: MirrorSaboteur;
  readonly #topics: TopicSaboteur;
  readonly #messages: TopicMessages;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
    const brokers = world.url('kafka').split(',');
    const database = mirrorDatabase({ source: world.name, databasePrefix: '' });
    this.#mirror = new MirrorSaboteur(world.url('mongo'), database, random);
    this.#topics = new TopicSaboteur(brokers, random);
    this.#messages = new TopicMessages(brokers);
  }

  async open(): Promise<void> {
    await this.#mirror.open();
  }

  async close(): Promise<void> {
    await this.#mirror.close();
    await this.#topics.close();
    await this.#messages.close();
  }

  /** Keeps documents as they are now, for `restoreOlder`. */
  async remember(table: string, count: number): Promise<void> {
    await this.#mirror.remember(this.#collection(table), count);
  }

  async damageMirror(table: string, count: number): Promise<void> {
    const done: DamagedDocument[] = [];
    for (const document of await this.#mirror.sample(this.#collection(table), count)) {
      const { _id: id } = document;
      // also what the saboteur itself has put under no key
      if (this.ledger.has(table, keyOfId(id)) || this.ledger.has(table, String(id))) continue;
      const kind = this.#random.pick(MIRROR_DAMAGES);
      const damaged = await this.#mirror.damage(this.#collection(table), kind, document);
      if (damaged === null) continue;
      this.ledger.add(damageOfDocument(table, damaged), this.nextRun);
      done.push(damaged);
    }
    await sleep(WRITTEN_WITHIN_MS);
    for (const damaged of done)
      if (!(await this.#mirror.isLeft(damaged))) this.ledger.excuse(damageOfDocument(table, damaged));
  }

  async restoreOlder(count: number): Promise<void> {
    const tableOf = (collection: string): string => collection.slice(this.#collection('').length);
    for (let i = 0; i < count; i++) {
      const damaged = await this.#mirror.restoreOlder(
        (collection, id) => !this.ledger.has(tableOf(collection), keyOfId(id)),
      );
      if (damaged === null) return;
      this.ledger.add(damageOfDocument(tableOf(damaged.collection), damaged), this.nextRun);
    }
  }

  async damageTopic(
    table: string,
    count: number,
    kinds: readonly TopicDamage[] = TOPIC_DAMAGES,
  ): Promise<readonly Damage[]> {
    const mayDamage = (key: string): boolean => !this.ledger.has(table, keyOfMessage(key));
    const damages = await this.#topics.damage(this.#topic(table), count, kinds, mayDamage);
    return damages.map((damaged) => {
      const damage = damageOfMessage(table, damaged);
      this.ledger.add(damage, this.nextRun);
      return damage;
    });
  }

  /** What the topics of these tables have of each key. */
  async readHistories(tables: readonly string[]): Promise<ReadonlyMap<string, Histories>> {
    const all = new Map<string, Histories>();
    for (const table of tables) {
      const histories = new Map<string, TopicMessage[]>();
      all.set(table, histories);
      await this.#messages.read(this.#topic(table), (message) => {
        const key = keyOfMessage(message.key?.toString() ?? '{}');
        const known = histories.get(key);
        if (known === undefined) histories.set(key, [message]);
        else known.push(message);
      });
    }
    return all;
  }

  #collection(table: string): string {
    return collectionName(this.#world.database, table);
  }

  #topic(table: string): string {
    return topicOf(this.#world.name, this.#world.database, table);
  }
}
