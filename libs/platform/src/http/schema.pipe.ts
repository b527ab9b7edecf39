import { findViolations, formatPath } from '#configuration';
import { type PipeTransform } from '@nestjs/common';
import { type z } from 'zod';
import { RequestError } from './request-error.ts';

/**
 * Checks a body, a query or a message by its schema and refuses it with every problem at once:
 * `@Query(new SchemaPipe(querySchema)) query: z.output<typeof querySchema>`.
 */
export class SchemaPipe<Schema extends z.ZodType> implements PipeTransform<unknown, z.output<Schema>> {
  readonly #schema: Schema;

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  transform(value: unknown): z.output<Schema> {
    const parsed = this.#schema.safeParse(value ?? {});
    if (parsed.success) return parsed.data;
    const problems = findViolations(this.#schema, value ?? {}, parsed.error).map((found) => ({
      path: formatPath(found.path),
      problem: found.problem,
    }));
    throw new RequestError(
      400,
      'DITTO_REQUEST_INVALID',
      problems.map(({ path, problem }) => `${path} ${problem}`.trim()).join('; '),
      { remedy: 'Correct what is listed and send the request again; see /docs.', context: { problems } },
    );
  }
}
