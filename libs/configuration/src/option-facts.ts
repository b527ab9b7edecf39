import { z } from 'zod';
import { type Path } from './problem.ts';

/** What a schema says about an option, with defaults, optionality and transformations looked through. */
export interface OptionFacts {
  readonly core: z.core.$ZodType;
  readonly description: string;
  readonly unit: string | null;
  readonly secret: boolean;
  /** True when it may be left out. */
  readonly optional: boolean;
  /** As one would write it in the file; undefined when there is none. */
  readonly default: unknown;
}

export function readOptionFacts(schema: z.core.$ZodType): OptionFacts {
  let core = schema;
  let description = '';
  let unit: string | null = null;
  let secret = false;
  let optional = false;
  let fallback: unknown;
  for (;;) {
    const meta = z.globalRegistry.get(core);
    description ||= meta?.description ?? '';
    unit ??= meta?.unit ?? null;
    secret ||= meta?.secret ?? false;
    if (core instanceof z.ZodDefault || core instanceof z.ZodPrefault) {
      fallback = core.def.defaultValue;
      optional = true;
      core = core.def.innerType;
    } else if (core instanceof z.ZodOptional) {
      optional = true;
      core = core.def.innerType;
    } else if (core instanceof z.ZodPipe) core = core.def.in;
    else return { core, description, unit, secret, optional, default: fallback };
  }
}

/** The schema of what is at `path`; null when there is none. */
export function findSchema(schema: z.core.$ZodType, path: Path): z.core.$ZodType | null {
  let found: z.core.$ZodType | undefined = schema;
  for (const part of path) {
    const { core }: OptionFacts = readOptionFacts(found);
    if (core instanceof z.ZodObject) found = (core.shape as Record<string, z.core.$ZodType>)[part];
    else if (core instanceof z.ZodRecord) found = core.valueType;
    else if (core instanceof z.ZodArray) found = core.element;
    else return null;
    if (!found) return null;
  }
  return found;
}

/** Whether a secret is at or below it. */
export function holdsSecret(schema: z.core.$ZodType): boolean {
  const { core, secret } = readOptionFacts(schema);
  if (secret) return true;
  if (core instanceof z.ZodObject) return Object.values(core.shape).some(holdsSecret);
  if (core instanceof z.ZodRecord) return holdsSecret(core.valueType);
  if (core instanceof z.ZodUnion) return core.options.some((option) => holdsSecret(option));
  return core instanceof z.ZodArray && holdsSecret(core.element);
}

/** Names that an object may have; null when it is not an object with fixed names. */
export function knownNames(schema: z.core.$ZodType): readonly string[] | null {
  const { core } = readOptionFacts(schema);
  return core instanceof z.ZodObject ? Object.keys(core.shape) : null;
}
