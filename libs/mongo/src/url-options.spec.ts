import { describe, expect, it } from '@jest/globals';
import { splitUrlOptions } from './url-options.ts';

describe('splitUrlOptions', () => {
  it('I1: takes out what would weaken reads and writes, in any spelling', () => {
    const weak = 'readpreference=secondary&readConcernLevel=local&W=0&journal=false&%77timeoutMS=1&retryWrites=true';
    expect(splitUrlOptions(`mongodb://u:p%3F@a:1,b:2/db?authSource=admin&${weak}&replicaSet=rs`)).toEqual({
      url: 'mongodb://u:p%3F@a:1,b:2/db?authSource=admin&replicaSet=rs',
      ignored: ['readpreference', 'readConcernLevel', 'W', 'journal', 'wtimeoutMS', 'retryWrites'],
    });
  });

  it('leaves the rest as it is', () => {
    for (const url of [
      'mongodb://a',
      'mongodb://a/?tls=true&compressors=zstd',
      'mongodb+srv://a/?',
      'mongodb://a/?%=1',
    ])
      expect(splitUrlOptions(url)).toEqual({ url, ignored: [] });
    expect(splitUrlOptions('mongodb://a/?w=1').url).toBe('mongodb://a/');
  });
});
