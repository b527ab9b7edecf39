import { describe, expect, it } from '@jest/globals';
import { type SinkName } from '#configuration';
import { findFollowedSink } from './followed-sink.ts';

describe('findFollowedSink', () => {
  it('prefers the topics', () => {
    expect(findFollowedSink({ sinks: ['mongo', 'kafka'] })).toBe('kafka');
    expect(findFollowedSink({ sinks: ['mongo'] })).toBe('mongo');
  });

  it('takes no sink that it does not know for a mirror', () => {
    expect(findFollowedSink({ sinks: ['another' as SinkName] })).toBeNull();
  });
});
