import { describe, expect, it } from '@jest/globals';
import { makeInspection } from '#testing';
import { findUnfitness } from './find-unfitness.ts';
import { type EndpointInspection } from './mysql-endpoint.ts';
import { type ReplicaState } from './replica-state.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

const SOUND = makeInspection().settings;

const server: typeof makeInspection = (parts, replica) =>
  makeInspection({ gtidExecuted: `${UUID}:1-10`, ...parts }, replica);

function judge(...of: Parameters<typeof server>): string {
  const unfitness = findUnfitness(server(...of), `${UUID}:1-9`);
  return unfitness === null ? 'fit' : `${unfitness.error.code}${unfitness.mayPass ? ', may pass' : ''}`;
}

describe('I7: whether a source may continue with another server', () => {
  it('takes a primary, and a replica that follows one', () => {
    expect([judge(), judge({ readOnly: true }, {})]).toEqual(['fit', 'fit']);
  });

  it.each<[string, Partial<EndpointInspection>, Partial<ReplicaState> | null]>([
    ['accepts no writes and follows nobody', { readOnly: true }, null],
    ['has lost its own source', {}, { isReceiving: false }],
    ['does not apply what it receives', {}, { isApplying: false }],
  ])('takes none that %s: it would stand still', (_, parts, replica) => {
    expect(judge(parts, replica)).toBe('DITTO_SOURCE_SERVER_STALE, may pass');
  });

  it('takes none that leaves changes out', () => {
    expect(judge({}, { hasFilters: true })).toBe('DITTO_SOURCE_REPLICA_FILTERED');
  });

  it('takes none that lacks what was given to a sink; a replica may still get it', () => {
    expect(judge({ gtidExecuted: `${UUID}:1-8` })).toBe('DITTO_SOURCE_GTIDS_MISSING');
    expect(judge({ gtidExecuted: `${UUID}:1-8` }, {})).toBe('DITTO_SOURCE_GTIDS_MISSING, may pass');
    const hidden = { gtidExecuted: `${UUID}:1-8`, showsReplication: false };
    expect(judge(hidden)).toBe('DITTO_SOURCE_GTIDS_MISSING, may pass');
    expect(findUnfitness(server({ gtidExecuted: `${UUID}:1-7` }), `${UUID}:1-9`)?.error.message).toContain(
      `${UUID}:8-9`,
    );
  });

  it.each<[string, object]>([
    ['DITTO_SOURCE_LOG_FORMAT', { binlogFormat: 'MIXED' }],
    ['DITTO_SOURCE_ROW_IMAGE', { binlogRowImage: 'MINIMAL' }],
    ['DITTO_SOURCE_LOG_FILTERED', { binlogIgnoreDb: 'shop' }],
  ])('takes none whose log does not have every change whole: %s', (code, wrong) => {
    expect(judge({ settings: { ...SOUND, ...wrong } })).toBe(code);
  });

  it('asks nothing of its log from before where the source starts over', () => {
    expect(findUnfitness(server({ gtidExecuted: `${UUID}:1-3`, gtidPurged: `${UUID}:1-3` }), null)).toBeNull();
    expect(findUnfitness(server({ readOnly: true }), null)?.error.code).toBe('DITTO_SOURCE_SERVER_STALE');
  });

  it('takes none whose log no longer holds what comes next', () => {
    expect(judge({ gtidPurged: `${UUID}:1-9` })).toBe('fit');
    expect(judge({ gtidPurged: `${UUID}:1-10` })).toBe('DITTO_SOURCE_PURGED');
  });
});
