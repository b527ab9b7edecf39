import { z } from 'zod';
import { configSchema } from './schema.ts';

type JsonSchema = Record<string, unknown>;

const reference: JsonSchema = {
  description: 'Text that is kept elsewhere.',
  oneOf: [
    strictObject('env', 'Name of an environment variable.'),
    strictObject('file', 'Path of a file, relative to the configuration file; one line end at its end is left out.'),
  ],
};

/** JSON Schema (2020-12) of `ditto.yaml`, for editors; `docs/ditto.schema.json` holds it. */
export function configJsonSchema(): JsonSchema {
  const { $schema, ...schema } = z.toJSONSchema(configSchema, { io: 'input' });
  return {
    $schema,
    title: 'ditto.yaml',
    description: 'Configuration of the services of Ditto.',
    ...allowReferences(schema),
    $defs: { reference },
  };
}

/** Any text may be a reference; units become part of the description. */
function allowReferences(schema: JsonSchema): JsonSchema {
  const { unit, description, ...rest } = schema;
  delete rest['secret'];
  const described = typeof description === 'string' && {
    description: typeof unit === 'string' ? `${description} (${unit})` : description,
  };
  if (rest['type'] === 'string') {
    const { default: fallback, ...text } = rest;
    const withDefault = fallback !== undefined && { default: fallback };
    return { ...described, ...withDefault, anyOf: [text, { $ref: '#/$defs/reference' }] };
  }
  const { properties, additionalProperties, items, anyOf } = rest;
  return {
    ...described,
    ...rest,
    ...(isSchema(properties) && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, value]) => [name, allowReferences(value as JsonSchema)]),
      ),
    }),
    ...(isSchema(additionalProperties) && { additionalProperties: allowReferences(additionalProperties) }),
    ...(isSchema(items) && { items: allowReferences(items) }),
    ...(Array.isArray(anyOf) && { anyOf: (anyOf as JsonSchema[]).map(allowReferences) }),
  };
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function strictObject(name: string, description: string): JsonSchema {
  return {
    type: 'object',
    properties: { [name]: { type: 'string', description } },
    required: [name],
    additionalProperties: false,
  };
}
