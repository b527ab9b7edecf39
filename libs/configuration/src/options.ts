import { DittoError, parseBytes, trimEndOf } from '#kernel';
import { z } from 'zod';
import { ConfiguredText, Secret } from './secret.ts';

declare module 'zod' {
  interface GlobalMeta {
    /** What a number counts; shown after the description. */
    unit?: string;
    secret?: boolean;
  }
}

/** How a person calls what an option takes; shown in problems and on the configuration page. */
export const OPTION_FORMATS = {
  bytes: "a size: a number of bytes, or text such as '32 MiB'",
  hostPort: "an address 'host:port'",
  tablePattern: "a pattern 'database.table', in which * means any characters",
  columnPattern: "a pattern 'database.table.column', in which * means any characters",
} as const;

/** Text that is not empty; without a default it must be given. */
export function text(description: string) {
  return z.string().min(1, 'must not be empty').meta({ description });
}

/** Text that is not a secret, and read again when connections are made again. */
export function renewableText(description: string) {
  return z
    .string()
    .min(1, 'must not be empty')
    .transform((value) => new ConfiguredText(value))
    .meta({ description });
}

export function textOr(value: string, description: string) {
  return z.string().default(value).meta({ description });
}

export function secret(description: string) {
  return z
    .string()
    .transform((value) => new Secret(value))
    .meta({ description, secret: true });
}

export function secretUrl(protocols: readonly string[], description: string) {
  const message = `must be a URL that begins with ${protocols.map((name) => `${name}://`).join(' or ')}`;
  return z
    .string()
    .refine(
      (value) => protocols.some((name) => value.startsWith(`${name}://`) && value.length > name.length + 3),
      message,
    )
    .transform((value) => new Secret(value))
    .meta({ description, secret: true });
}

/** An address that is called with what a secret of its own signs; `fetch` refuses one with user and password. */
export function secretHttpUrl(description: string) {
  return z
    .string()
    .refine(isHttpUrl, 'must be a URL that begins with http:// or https://')
    .refine((value) => !isHttpUrl(value) || !hasCredentials(value), 'must not contain a user or a password')
    .transform((value) => new Secret(value))
    .meta({ description, secret: true });
}

/** Without the `/` at its end. */
export function httpUrl(description: string) {
  return z
    .string()
    .refine(isHttpUrl, 'must be a URL that begins with http:// or https://')
    .transform((value) => trimEndOf(value, '/'))
    .meta({ description });
}

export function flag(value: boolean, description: string) {
  return z.boolean().default(value).meta({ description });
}

export function choice<const Choice extends string>(
  choices: readonly Choice[],
  value: NoInfer<Choice>,
  description: string,
) {
  return z.enum(choices).default(value).meta({ description });
}

/** A duration; its name ends in `Ms`. */
export function milliseconds(
  value: number,
  description: string,
  limits: { readonly min?: number; readonly max?: number } = {},
) {
  return z
    .int()
    .min(limits.min ?? 1)
    .max(limits.max ?? 2_147_483_647)
    .default(value)
    .meta({ description, unit: 'ms' });
}

export function count(value: number, unit: string, description: string, limits: { min?: number; max?: number } = {}) {
  return z
    .int()
    .min(limits.min ?? 1)
    .max(limits.max ?? 1_000_000_000)
    .default(value)
    .meta({ description, unit });
}

/** A size; its name ends in `Bytes`. In the file a number or text with a unit, in the result a number. */
export function bytes(value: string, min: number, description: string) {
  return z
    .union([z.number(), z.string()], { error: `must be ${OPTION_FORMATS.bytes}` })
    .transform((size, context) => {
      const parsed = tryParseBytes(String(size));
      if (parsed !== null && parsed >= min) return parsed;
      context.addIssue(parsed === null ? `must be ${OPTION_FORMATS.bytes}` : `must be at least ${min} bytes`);
      return z.NEVER;
    })
    .prefault(value)
    .meta({ description, unit: 'bytes' });
}

export function port(value: number, description: string) {
  return z.int().min(1).max(65_535).default(value).meta({ description });
}

/** `host:port`, given as an object; an IPv6 address is in brackets. */
export function hostPort(description: string) {
  return z
    .string()
    .transform((value, context) => {
      const parsed = parseHostPort(value);
      if (parsed) return parsed;
      context.addIssue(`must be ${OPTION_FORMATS.hostPort}`);
      return z.NEVER;
    })
    .meta({ description });
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

function parseHostPort(value: string): HostPort | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/i.exec(value);
  const number = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host !== undefined && number >= 1 && number <= 65_535 ? { host, port: number } : null;
}

export function brokerAddress(description: string) {
  return z
    .string()
    .refine((value) => parseHostPort(value) !== null, `must be ${OPTION_FORMATS.hostPort}`)
    .meta({ description });
}

export function tablePattern(description: string) {
  return z
    .string()
    .regex(/^[^.]+\..+$/s, `must be ${OPTION_FORMATS.tablePattern}`)
    .meta({ description });
}

export function columnPattern(description: string) {
  return z
    .string()
    .regex(/^[^.]+\..+\..+$/s, `must be ${OPTION_FORMATS.columnPattern}`)
    .meta({ description });
}

function tryParseBytes(size: string): number | null {
  try {
    return parseBytes(size);
  } catch (error) {
    if (error instanceof DittoError) return null;
    throw error;
  }
}

function isHttpUrl(value: string): boolean {
  return /^https?:\/\//.test(value) && URL.canParse(value);
}

function hasCredentials(value: string): boolean {
  const { username, password } = new URL(value);
  return username !== '' || password !== '';
}
