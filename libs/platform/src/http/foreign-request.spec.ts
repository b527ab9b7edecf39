import { describe, expect, it } from '@jest/globals';
import { findForeign } from './foreign-request.ts';

describe('findForeign', () => {
  const own = { host: '127.0.0.1:7401', origin: 'http://127.0.0.1:7401', 'sec-fetch-site': 'same-origin' };

  it.each([
    [{ host: '127.0.0.1:7401' }],
    [{ host: '127.0.0.9' }],
    [{ host: 'localhost' }],
    [{}],
    [{ host: 'LocalHost:7401' }],
    [{ host: 'ditto.localhost:7401' }],
    [{ host: '[::1]:7401' }],
    [{ host: 'Ditto.Example:80' }],
    [own],
    [{ ...own, 'sec-fetch-site': 'none' }],
    [{ host: 'ditto.example', origin: 'https://ditto.example' }],
  ])('lets %j pass', (headers) => {
    expect(findForeign({ method: 'POST', headers }, ['ditto.example'])).toBeNull();
  });

  it.each([
    [{ origin: 'http://evil.example' }, 'Origin'],
    [{ host: '' }, 'Host'],
    [{ host: 'evil.example:7401' }, 'Host'],
    [{ host: 'localhost.evil.example' }, 'Host'],
    [{ host: '127.0.0.1.evil.example' }, 'Host'],
    [{ host: 'evil-localhost' }, 'Host'],
    [{ host: '[::2]:7401' }, 'Host'],
    [{ host: '10.0.0.1' }, 'Host'],
    [{ ...own, origin: 'http://evil.example' }, 'Origin'],
    [{ ...own, origin: 'null' }, 'Origin'],
    [{ ...own, origin: 'http://127.0.0.1:3000' }, 'Origin'],
    [{ ...own, origin: 'http://127.0.0.1:74010' }, 'Origin'],
    [{ host: own.host, 'sec-fetch-site': 'cross-site' }, 'Sec-Fetch-Site'],
    [{ host: own.host, 'sec-fetch-site': 'same-site' }, 'Sec-Fetch-Site'],
    [{ host: own.host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 'Sec-Fetch-Site'],
  ])('finds %j foreign by its %s', (headers, by) => {
    expect(findForeign({ method: 'POST', headers }, ['ditto.example'])).toContain(by);
  });

  it('lets a link in another page be followed', () => {
    const headers = { host: own.host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect(findForeign({ method: 'GET', headers }, [])).toBeNull();
    expect(findForeign({ method: 'GET', headers: { ...headers, 'sec-fetch-mode': 'cors' } }, [])).toContain('Sec-');
  });
});
