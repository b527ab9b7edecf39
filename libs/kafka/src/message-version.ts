const VERSION = /^[0-9a-f]{44}$/;

/** Whether the header `ditto.version` is one of Ditto's. */
export function isVersion(text: string): boolean {
  return VERSION.test(text);
}
