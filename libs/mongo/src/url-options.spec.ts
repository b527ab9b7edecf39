import { describe, expect, it } from '@jest/globals';
import { splitUrlOptions } from './url-options.ts';

describe('splitUrlOptions', () => {
  it('I1: takes out what would weaken reads and writes, in any spelling', () => {
    const weak = 'readpreference=secondary&readConcernLevel=local&W=0&journal=false&%77timeoutMS=1&retryWrites=true';
    expect(splitUrlOptions(`mongodb://u:p%3F@a:1,b:2/db?authSource=admin&${weak}&replicaSet=rs`, false)).toEqual({
      url: 'mongodb://u:p%3F@a:1,b:2/db?authSource=admin&replicaSet=rs',
      ignored: ['readpreference', 'readConcernLevel', 'W', 'journal', 'wtimeoutMS', 'retryWrites'],
    });
  });

  it('takes out all about TLS where the section says it', () => {
    const weak =
      'TLS=false&ssl=false&%74lsInsecure=true&tlsAllowInvalidCertificates=true&tlsAllowInvalidHostnames=true';
    const url = `mongodb://u:p@a/db?${weak}&authSource=admin`;
    expect(splitUrlOptions(url, true)).toEqual({
      url: 'mongodb://u:p@a/db?authSource=admin',
      ignored: ['TLS', 'ssl', 'tlsInsecure', 'tlsAllowInvalidCertificates', 'tlsAllowInvalidHostnames'],
    });
    expect(splitUrlOptions(url, false)).toEqual({ url, ignored: [] });
  });

  it('leaves the rest as it is', () => {
    for (const url of [
      'mongodb://a',
      'mongodb://a/?tls=true&compressors=zstd',
      'mongodb+srv://a/?',
      'mongodb://a/?%=1',
    ])
      expect(splitUrlOptions(url, false)).toEqual({ url, ignored: [] });
    expect(splitUrlOptions('mongodb://a/?w=1', false).url).toBe('mongodb://a/');
  });
});
