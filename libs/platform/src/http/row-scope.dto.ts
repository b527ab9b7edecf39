import { ApiProperty } from '@nestjs/swagger';

const VALUE = { oneOf: [{ type: 'string' }, { type: 'number' }, { type: 'boolean' }] };
const KEY = { type: 'array', items: VALUE };

/** Some rows of one table: by `keys`, `range` or `where`. */
export class RowScopeDto {
  @ApiProperty({
    required: false,
    description:
      'The rows with these keys, each an array of values in the order of the key columns: integers beyond 2^53 and bytes (base64) as text.',
    type: 'array',
    items: KEY,
    example: [[1], [2]],
  })
  readonly keys?: (string | number | boolean)[][];

  @ApiProperty({
    required: false,
    description:
      'The rows whose keys are in this range, in the order of the key in the source; both ends belong to it.',
    type: 'object',
    properties: { from: KEY, to: KEY },
    additionalProperties: false,
    example: { from: [1], to: [1000] },
  } as never)
  readonly range?: object;

  @ApiProperty({
    required: false,
    description:
      'The rows that fulfil all of these conditions. `op`: = != < <= > >= in, is null, is not null. A value may always be text; `in` takes a list. Compared as in the source, by its collations; NULL fulfils nothing but `is null`.',
    type: 'array',
    items: {
      type: 'object',
      properties: {
        column: { type: 'string' },
        op: { type: 'string', enum: ['=', '!=', '<', '<=', '>', '>=', 'in', 'is null', 'is not null'] },
        value: { oneOf: [...VALUE.oneOf, { type: 'array', items: VALUE }] },
      },
      required: ['column', 'op'],
      additionalProperties: false,
    },
    example: [{ column: 'status', op: '=', value: 'open' }],
  } as never)
  readonly where?: object[];
}
