import { setTimeout as sleep } from 'node:timers/promises';
import mongoose from 'mongoose';
import { collectionName, topicName } from '#change-events';
import { chooseEndpoint, type DittoConfig, type SourceConfig } from '#configuration';
import { toDittoError } from '#kernel';
import { mirrorDatabase } from '#mongo';
import { compileTableRules } from '#mysql';
import { MIRROR_DAMAGES, MirrorSaboteur } from '../test/saboteur/mirror-saboteur.ts';
import { TOPIC_DAMAGES, TopicSaboteur } from '../test/saboteur/topic-saboteur.ts';
import { Random } from '../test/types/random.ts';
import { SCRATCH_ROWS, SCRATCH_TABLE, ScratchTable, untried } from './scratch-table.ts';
import type { SelftestOptions } from './selftest-options.ts';
import { isRepaired, type KnownDamage, matchDamage, type SelftestReport } from './selftest-report.ts';
import { findWorker, type SelftestRun, SelftestServices } from './selftest-services.ts';

const COPIED_WITHIN_MS = 120_000;
const REPAIRED_WITHIN_MS = 180_000;
const ENDED_WITHIN_MS = 60_000;
const ATTEMPTS = 50;

export interface SelftestFacts {
  readonly config: DittoConfig;
  readonly options: Pick<SelftestOptions, 'schema' | 'source' | 'token'>;
  readonly seed: number;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Rejects when it could not be tried; the scratch table is gone in any case, as far as the server can be reached. */
export async function runSelftest(facts: SelftestFacts): Promise<SelftestReport> {
  const { config, options, say, signal } = facts;
  const source = chooseSource(config, options.source);
  assertIncluded(source, options.schema);
  assertReachable(config, source);
  const services = new SelftestServices(await findWorker(config), options.token, signal);
  const scratch = await ScratchTable.open(chooseEndpoint(source).streamed, options.schema);
  try {
    await scratch.create();
    try {
      return await tryTable(facts, source, services, scratch);
    } finally {
      await scratch.drop();
      await endCopies(config, source, options.schema, say);
    }
  } finally {
    scratch.close();
  }
}

function chooseSource({ sources }: DittoConfig, name: string | null): SourceConfig {
  const names = Object.keys(sources);
  const chosen = name ?? (names.length === 1 ? names[0] : undefined);
  const source = chosen !== undefined && Object.hasOwn(sources, chosen) ? sources[chosen] : undefined;
  if (source === undefined)
    throw untried(
      name === null ? 'more than one source is configured' : `there is no source ${name}`,
      `Give one by --source: ${names.join(', ')}.`,
    );
  return source;
}

function assertIncluded(source: SourceConfig, schema: string): void {
  if (compileTableRules(source).includes(schema, SCRATCH_TABLE)) return;
  throw untried(
    `the source ${source.name} does not include ${schema}.${SCRATCH_TABLE}`,
    `Add "${schema}.*" (or "${schema}.${SCRATCH_TABLE}") to sources.${source.name}.include and restart DSS and DWS.`,
  );
}

function assertReachable({ kafka, mongo }: DittoConfig, { sinks }: SourceConfig): void {
  const isClosed =
    (sinks.includes('kafka') && (kafka?.tls !== undefined || kafka?.sasl !== undefined)) ||
    (sinks.includes('mongo') && mongo?.tls !== undefined);
  if (!isClosed) return;
  throw untried(
    'the self-test can not damage copies through TLS or SASL yet',
    'Run it against a deployment without them, or without a configuration: it starts servers of its own.',
  );
}

async function tryTable(
  { config, options, seed, say, signal }: SelftestFacts,
  source: SourceConfig,
  services: SelftestServices,
  scratch: ScratchTable,
): Promise<SelftestReport> {
  const name = `${quote(options.schema)}.${SCRATCH_TABLE}`;
  say(`${name} is made; waiting until DSS has seen it …`);
  await verifyUntilEqual(services, source.name, name, 0);
  // its rows come by the log, each with its history
  await scratch.fill();
  say(`It has ${SCRATCH_ROWS} rows; waiting until DSS has copied them …`);
  const clean = await verifyUntilEqual(services, source.name, name, SCRATCH_ROWS);
  say(`Copied, and equal in ${clean.details.map(({ sink }) => sink).join(' and ')}. Damaging the copies …`);
  const random = new Random(seed);
  const mirror = await damageMirror(config, source, options.schema, random, signal);
  const topic = await damageTopic(config, source, options.schema, random);
  const damages = [...mirror.damages, ...topic.damages];
  say(`${damages.length} rows are damaged, one of each kind. Verifying …`);
  const run = await services.verify(source.name, name, COPIED_WITHIN_MS);
  assertJudged(run);
  // a policy that repairs nothing by itself is no reason not to show it
  if (source.repair.mode !== 'repair' || Object.keys(source.repair.tables).length > 0)
    for (const found of await services.listMismatches(source.name, run.id))
      if (found.state === 'open') await services.repair(found);
  say(`${run.mismatches} rows are found to differ. Waiting until they are repaired …`);
  const mismatches = await services.waitForRepairs(source.name, run.id, REPAIRED_WITHIN_MS);
  const last = await services.verify(source.name, name, COPIED_WITHIN_MS);
  const reports = damages.map((damage) => matchDamage(damage, mismatches));
  const isGood = reports.every(isRepaired) && last.state === 'done' && last.notJudged === 0 && last.mismatches === 0;
  const notTried = [...mirror.notTried, ...topic.notTried];
  return { isGood: isGood && notTried.length === 0, damages: reports, notTried, differencesAtTheEnd: last.mismatches };
}

/** Until the sinks have so many rows. */
async function verifyUntilEqual(
  services: SelftestServices,
  source: string,
  table: string,
  rows: number,
): Promise<SelftestRun> {
  const deadline = performance.now() + COPIED_WITHIN_MS;
  for (;;) {
    const run = await services.verify(source, table, COPIED_WITHIN_MS);
    assertJudged(run);
    const isWhole = run.rows === rows * run.details.length;
    if (isWhole && run.mismatches === 0 && run.unsettled === 0) return run;
    if (performance.now() > deadline)
      throw untried(`${run.mismatches} rows differ before anything was damaged`, 'Look at GET /mismatches of DWS.');
  }
}

function assertJudged({ state, notJudged, details }: SelftestRun): void {
  if (state === 'done' && notJudged === 0) return;
  const reasons = details.flatMap(({ sink, hold }) => (hold === null ? [] : [`${sink}: ${hold.reason}`]));
  throw untried(`the table could not be judged: ${reasons.join('; ') || state}`, 'Remove that reason and try again.');
}

interface Damaged {
  readonly damages: readonly KnownDamage[];
  readonly notTried: readonly string[];
}

async function damageMirror(
  { mongo }: DittoConfig,
  source: SourceConfig,
  schema: string,
  random: Random,
  signal: AbortSignal,
): Promise<Damaged> {
  if (mongo === null || !source.sinks.includes('mongo')) return { damages: [], notTried: [] };
  const saboteur = new MirrorSaboteur(
    mongo.url.reveal(),
    mirrorDatabase({ source: source.name, databasePrefix: mongo.databasePrefix }),
    random,
  );
  await saboteur.open();
  const damages: KnownDamage[] = [];
  const notTried: string[] = [];
  const taken = new Set<string>();
  try {
    for (const kind of MIRROR_DAMAGES)
      for (let attempt = 0; ; attempt++) {
        signal.throwIfAborted();
        const one = await saboteur.damage(collectionName(schema, SCRATCH_TABLE), kind);
        // one that an earlier kind has chosen as well is found as one of the two only
        if (one !== null && !taken.has(String(one.id))) {
          taken.add(String(one.id));
          damages.push({ sink: 'mongo', kind, key: String(one.id) });
          break;
        }
        if (attempt === ATTEMPTS) {
          notTried.push(`${kind} in mongo`);
          break;
        }
      }
  } finally {
    await saboteur.close();
  }
  return { damages, notTried };
}

async function damageTopic(
  { kafka }: DittoConfig,
  source: SourceConfig,
  schema: string,
  random: Random,
): Promise<Damaged> {
  if (kafka === null || !source.sinks.includes('kafka')) return { damages: [], notTried: [] };
  const saboteur = new TopicSaboteur(kafka.brokers, random);
  const damages: KnownDamage[] = [];
  const topic = topicName(source.name, schema, SCRATCH_TABLE);
  const taken = new Set<string>();
  try {
    for (const kind of TOPIC_DAMAGES) {
      const [one] = await saboteur.damage(topic, 1, [kind], (key) => !taken.has(key));
      if (one === undefined) continue;
      taken.add(one.key);
      damages.push({ sink: 'kafka', kind, key: String((JSON.parse(one.key) as { id: unknown }).id) });
    }
  } finally {
    await saboteur.close();
  }
  const tried = new Set(damages.map(({ kind }) => kind));
  return { damages, notTried: TOPIC_DAMAGES.filter((kind) => !tried.has(kind)).map((kind) => `${kind} in kafka`) };
}

/** The dropped table ends in the sinks by the log; what is left of its documents then is removed. */
async function endCopies(
  { mongo }: DittoConfig,
  source: SourceConfig,
  schema: string,
  say: (text: string) => void,
): Promise<void> {
  say('The scratch table is dropped; waiting until its rows have ended in the sinks …');
  if (mongo === null || !source.sinks.includes('mongo')) return;
  const client = new mongoose.mongo.MongoClient(mongo.url.reveal(), { writeConcern: { w: 'majority' } });
  try {
    const documents = client
      .db(mirrorDatabase({ source: source.name, databasePrefix: mongo.databasePrefix }))
      .collection(collectionName(schema, SCRATCH_TABLE));
    const deadline = performance.now() + ENDED_WITHIN_MS;
    while ((await documents.countDocuments({ row: { $exists: true } })) > 0) {
      if (performance.now() > deadline) {
        say('Its documents have not ended in time; DSS ends them when it has come to the DROP TABLE.');
        return;
      }
      await sleep(250);
    }
    await documents.deleteMany({});
  } catch (error) {
    say(`Its documents could not be removed: ${toDittoError(error).message}`);
  } finally {
    await client.close();
  }
}

function quote(schema: string): string {
  return /^\w+$/.test(schema) ? schema : `\`${schema}\``;
}
