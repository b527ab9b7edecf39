/**
 * Options of a connection string that would change what Ditto's promises rest on: which member is read, what a read may
 * show, what a write's answer means, how long a call may take, and how values are given back. Ditto sets them itself.
 * The driver lets an option of the string prevail over another name of the same setting, so they are taken out.
 */
const OWN_OPTIONS = new Set(
  [
    'readPreference',
    'readPreferenceTags',
    'maxStalenessSeconds',
    'readConcern',
    'readConcernLevel',
    'w',
    'wtimeout',
    'wtimeoutMS',
    'journal',
    'j',
    'fsync',
    'writeConcern',
    'retryWrites',
    'retryReads',
    'timeoutMS',
    'socketTimeoutMS',
    'connectTimeoutMS',
    'serverSelectionTimeoutMS',
    'heartbeatFrequencyMS',
    'serverMonitoringMode',
    'maxPoolSize',
    'bsonRegExp',
    'checkKeys',
    'enableUtf8Validation',
    'fieldsAsRaw',
    'ignoreUndefined',
    'promoteBuffers',
    'promoteLongs',
    'promoteValues',
    'raw',
    'serializeFunctions',
    'useBigInt64',
  ].map((name) => name.toLowerCase()),
);

/** Would switch TLS off, or its checks, against the section `tls`, which says all about TLS where it is given. */
const TLS_OPTION = /^(?:ssl|tls)/;

export interface SplitUrl {
  readonly url: string;
  readonly ignored: readonly string[];
}

/**
 * The connection string without those options, and the names of those that it had.
 *
 * @param hasTlsSection whether TLS is configured outside of the string
 */
export function splitUrlOptions(url: string, hasTlsSection: boolean): SplitUrl {
  const at = url.indexOf('?');
  if (at === -1) return { url, ignored: [] };
  const options = url.slice(at + 1).split('&');
  const isOwn = (option: string): boolean => {
    const name = nameOf(option).toLowerCase();
    return OWN_OPTIONS.has(name) || (hasTlsSection && TLS_OPTION.test(name));
  };
  const kept = options.filter((option) => !isOwn(option));
  return {
    url: kept.length === 0 ? url.slice(0, at) : `${url.slice(0, at)}?${kept.join('&')}`,
    ignored: options.filter(isOwn).map(nameOf),
  };
}

function nameOf(option: string): string {
  const [name = ''] = option.split('=', 1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
