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

/** The connection string without those options, and the names of those that it had. */
export function splitUrlOptions(url: string): { readonly url: string; readonly ignored: readonly string[] } {
  const at = url.indexOf('?');
  if (at === -1) return { url, ignored: [] };
  const options = url.slice(at + 1).split('&');
  const isOwn = (option: string): boolean => OWN_OPTIONS.has(nameOf(option).toLowerCase());
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
