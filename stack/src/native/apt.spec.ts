import { describe, expect, it } from '@jest/globals';
import {
  chooseDebianMirror,
  parseCandidates,
  parseIndexTargets,
  parsePrintedUris,
  selectTransportSettings,
} from './apt.ts';
import { comparePins } from './debian-runtime.ts';

describe('the Debian mirror', () => {
  const targets = (text: string): string | null => chooseDebianMirror(parseIndexTargets(text));

  it('is the main archive among what apt is configured with', () => {
    expect(
      targets(
        [
          'http://mirror.test/debian-security/\tDebian\tstable-security',
          'http://other.test/node/\tNode\tstable',
          'http://mirror.test/debian/\tDebian\tstable',
        ].join('\n'),
      ),
    ).toBe('http://mirror.test/debian/');
  });

  it('is found by its origin when its path says nothing', () => {
    expect(targets('http://cache.test/apt-remote/\tDebian\tstable\n')).toBe('http://cache.test/apt-remote/');
  });

  it('is null where only other distributions are configured', () => {
    expect(targets('http://mirror.test/ubuntu/\tUbuntu\tnoble\n')).toBeNull();
    expect(targets('')).toBeNull();
  });
});

describe('selectTransportSettings', () => {
  it('keeps proxies and drops what weakens a check', () => {
    const dump = [
      'APT::Architecture "amd64";',
      'Acquire::http::Proxy "http://proxy.test:3128/";',
      'Acquire::AllowInsecureRepositories "true";',
      'Acquire::Check-Valid-Until "false";',
      'Acquire::https::Verify-Peer "false";',
      'DPkg::Post-Invoke:: "rm -f /x";',
    ].join('\n');
    expect(selectTransportSettings(dump)).toEqual(['Acquire::http::Proxy "http://proxy.test:3128/";']);
  });
});

describe('answers of apt', () => {
  it('candidates are read per package; one without a version is absent', () => {
    const policy = [
      'redis-server:',
      '  Installed: (none)',
      '  Candidate: 5:8.0.6-3',
      'gone:',
      '  Installed: (none)',
      '  Candidate: (none)',
    ].join('\n');
    expect([...parseCandidates(policy)]).toEqual([['redis-server', '5:8.0.6-3']]);
  });

  it('planned files are read with their sizes', () => {
    const text = "'http://mirror.test/pool/l/libc6_2.43-7_amd64.deb' libc6_2.43-7_amd64.deb 1866392 MD5Sum:1dc6\nnoise";
    expect(parsePrintedUris(text)).toEqual([{ file: 'libc6_2.43-7_amd64.deb', bytes: 1_866_392 }]);
  });
});

describe('pinned versions', () => {
  it('are silent when present, warn when the suite moved on, and fail when a package is gone', () => {
    const pinned = { a: '1', b: '2' };
    expect(
      comparePins(
        pinned,
        new Map([
          ['a', '1'],
          ['b', '2'],
        ]),
      ),
    ).toEqual([]);
    expect(
      comparePins(
        pinned,
        new Map([
          ['a', '1'],
          ['b', '3'],
        ]),
      ),
    ).toEqual(['warning: b 2 was tested; taking 3, the present one']);
    expect(() => comparePins(pinned, new Map([['a', '1']]))).toThrow(
      expect.objectContaining({ code: 'DITTO_STACK_PACKAGE_MISSING' }),
    );
  });
});
