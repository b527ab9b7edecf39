import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { type DittoConfig } from '#configuration';
import { assertKnownSource, InjectConfig, SchemaPipe } from '#platform';
import { type ExplainQuery, explainQuerySchema } from './explain-query.ts';
import { Explainer } from './explainer.ts';
import { ExplanationDto } from './explanation.dto.ts';

@ApiTags('explain')
@Controller('explain')
export class ExplainController {
  readonly #explainer: Explainer;
  readonly #config: DittoConfig;

  constructor(explainer: Explainer, @InjectConfig() config: DittoConfig) {
    this.#explainer = explainer;
    this.#config = config;
  }

  @Get()
  @ApiOperation({
    summary:
      'One row everywhere: in MySQL, MongoDB, Kafka and the binary log; and why it differs, where that is proven',
  })
  @ApiQuery({ name: 'source', required: true })
  @ApiQuery({ name: 'table', required: true, description: '`database.table`' })
  @ApiQuery({ name: 'key', required: true, description: 'The key as in the messages of Kafka: `{"id":1}`' })
  async explain(@Query(new SchemaPipe(explainQuerySchema)) query: ExplainQuery): Promise<ExplanationDto> {
    assertKnownSource(this.#config, query.source);
    return this.#explainer.explain(query);
  }
}
