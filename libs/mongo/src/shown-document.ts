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

/**
 * The JSON text of a document for people, near to the JSON of Kafka's messages: numbers with all digits, DECIMAL as text,
 * bytes in base64. Other types are as in MongoDB's extended JSON.
 */
export function showDocument(bytes: Uint8Array): string {
  const document = mongo.BSON.deserialize(bytes, { promoteValues: false });
  const extended = mongo.BSON.EJSON.stringify(document, { relaxed: false });
  return JSON.stringify(JSON.parse(extended, toPlain));
}

function toPlain(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const [name, ...others] = Object.keys(value);
  const show = name === undefined || others.length > 0 ? undefined : PLAIN[name];
  return show === undefined ? value : show((value as Readonly<Record<string, unknown>>)[name ?? '']);
}
