import { mongo } from 'mongoose';

type RawJson = typeof JSON & { rawJSON(text: string): unknown };

/** A value that extended JSON writes as an object with one of these fields. */
const PLAIN: Readonly<Record<string, (value: unknown) => unknown>> = {
  $numberInt: (text) => (JSON as RawJson).rawJSON(String(text)),
  $numberLong: (text) => (JSON as RawJson).rawJSON(String(text)),
  $numberDouble: (text) => (Number.isFinite(Number(text)) ? Number(text) : text),
  $numberDecimal: (text) => text,
  $binary: (value) => (value as { readonly base64: string }).base64,
  $date: (ms) => {
    const date = new Date(Number(JSON.stringify(ms)));
    return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
  },
};

/** Patterns stay text: MongoDB's are not JavaScript's. Bytes that are not UTF-8 become U+FFFD. */
const FOR_PEOPLE = { promoteValues: false, bsonRegExp: true, validation: { utf8: false } } as const;

const NOT_READABLE = 'not readable: the MongoDB driver can not decode it';

/** MongoDB's extended JSON of the only field of a document, whatever it contains. */
export function showField(document: Uint8Array): string {
  const [value] = Object.values(JSON.parse(showExtended(document)) as Record<string, unknown>);
  return JSON.stringify(value ?? null);
}

/** What others have written may be no BSON to the driver, as a pattern with an option that it does not know. */
function showExtended(document: Uint8Array): string {
  try {
    return mongo.BSON.EJSON.stringify(mongo.BSON.deserialize(document, FOR_PEOPLE), { relaxed: false });
  } catch {
    return JSON.stringify({ unreadable: NOT_READABLE });
  }
}

/**
 * The JSON text of a document for people, near to the JSON of Kafka's messages: numbers with all digits, DECIMAL as text,
 * bytes in base64. Other types are as in MongoDB's extended JSON.
 */
export function showDocument(bytes: Uint8Array): string {
  return JSON.stringify(JSON.parse(showExtended(bytes), toPlain));
}

function toPlain(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const [name, ...others] = Object.keys(value);
  const show = name === undefined || others.length > 0 ? undefined : PLAIN[name];
  return show === undefined ? value : show((value as Readonly<Record<string, unknown>>)[name ?? '']);
}
