import { DcsClient } from '#dcs-client';
import { findError, toCheckFinding, toDittoError } from '#kernel';
import {
  type DittoConfig,
  type HostPort,
  SINK_NAMES,
  toDcsOptions,
  toRedisOptions,
  toStateOptions,
} from '#configuration';
import { findRpcToken } from '#platform';
import { checkRedis } from '#redis';
import { checkStateDatabase } from '#state';
import { type Checked } from './check.ts';
import { findSink } from '../sinks/registry.ts';
import { type SourceCheck } from './check-source.ts';

export async function checkState({ state }: DittoConfig, sources: readonly SourceCheck[]): Promise<Checked> {
  const { findings, serverUuid } = await checkStateDatabase(toStateOptions(state));
  const same = sources.filter(({ serverUuids }) => serverUuid !== null && serverUuids.includes(serverUuid));
  const shared = same.map(({ source }) =>
    findError(
      'DITTO_STATE_ON_SOURCE',
      `the state database is on a server of the source ${source.name}: it would be lost, and switched, together with it`,
      'Use another MySQL server for the state database.',
    ),
  );
  return { subject: `state database, ${state.host}:${state.port}`, findings: [...findings, ...shared] };
}

/** Those that a source goes to. */
export function checkSinks(config: DittoConfig, sources: readonly SourceCheck[]): Promise<Checked>[] {
  return SINK_NAMES.flatMap((name) => {
    const those = sources.filter(({ source }) => source.sinks.includes(name));
    if (config[name] === null || those.length === 0) return [];
    const { kit, section } = findSink(config, name);
    return [kit.check(section, those)];
  });
}

export async function checkRedisServer({ redis }: DittoConfig): Promise<Checked> {
  return { subject: 'Redis', findings: await checkRedis(toRedisOptions(redis)) };
}

/** An instance that is not up yet is only a warning: it may be started after this check. */
export async function checkDcs({ dcs, auth }: DittoConfig, endpoint: HostPort): Promise<Checked> {
  const token = findRpcToken(auth)?.reveal() ?? null;
  const subject = `DCS, ${endpoint.host}:${endpoint.port}`;
  let client: DcsClient | null = null;
  try {
    client = new DcsClient({ ...toDcsOptions(dcs), endpoints: [endpoint], token });
    await client.listLeases();
    return { subject, findings: [] };
  } catch (error) {
    return { subject, findings: [toCheckFinding(error, toDittoError(error).retriable ? 'warning' : 'error')] };
  } finally {
    client?.close();
  }
}
