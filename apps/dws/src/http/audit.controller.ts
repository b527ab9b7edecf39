import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { SchemaPipe } from '#platform';
import { StateAuditLog, StateDatabase } from '#state';
import { z } from 'zod';
import { type AuditEntriesDto } from './audit.dto.ts';

const name = z.string().min(1).max(512).optional();
/** Milliseconds since 1970, or a text such as `2026-02-03T04:05:06Z`. */
const time = z
  .string()
  .transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)))
  .refine((ms) => !Number.isNaN(ms), 'must be a time, as 2026-02-03T04:05:06Z, or milliseconds since 1970')
  .optional();
const auditQuerySchema = z.strictObject({
  ...{ source: name, action: name, actor: name, since: time, until: time },
  after: z
    .string()
    .regex(/^\d{1,15}-\d{1,19}$/, 'must be `next` of a page')
    .transform((text) => {
      const [lastAtMs, id = ''] = text.split('-');
      return { lastAtMs: Number(lastAtMs), id };
    })
    .optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});
type AuditQuery = z.output<typeof auditQuerySchema>;

@ApiTags('audit')
@Controller('audit')
export class AuditController {
  readonly #log: StateAuditLog;

  constructor(state: StateDatabase) {
    this.#log = new StateAuditLog(state);
  }

  @Get()
  @ApiOperation({ summary: 'What operators did and what Ditto decided by itself, newest first, in pages' })
  @ApiQuery({ name: 'source', required: false, description: 'Also one that is not configured any more' })
  @ApiQuery({ name: 'action', required: false, description: 'As `source.moved`' })
  @ApiQuery({ name: 'actor', required: false })
  @ApiQuery({ name: 'since', required: false, description: 'Done at or after this time: ISO 8601, or milliseconds' })
  @ApiQuery({ name: 'until', required: false, description: 'Done before this time' })
  @ApiQuery({ name: 'after', required: false, description: '`next` of the page before' })
  @ApiQuery({ name: 'limit', required: false, type: Number, description: '100 by default, at most 1000' })
  async list(@Query(new SchemaPipe(auditQuerySchema)) query: AuditQuery): Promise<AuditEntriesDto> {
    const { source: subject, since: sinceMs, until: untilMs, after = null, limit, ...rest } = query;
    const given = Object.entries({ ...rest, subject, sinceMs, untilMs }).filter(([, value]) => value !== undefined);
    const entries = await this.#log.list(Object.fromEntries(given), { after, limit });
    const last = entries.at(-1);
    return {
      entries: entries.map(({ subject: source, ...entry }) => ({ ...entry, source, details: { ...entry.details } })),
      next: last === undefined || entries.length < limit ? null : `${last.lastAtMs}-${last.id}`,
    };
  }
}
