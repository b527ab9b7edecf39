import { Controller, Get, Header } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import { PublicOnLoopback } from '../auth/access.ts';
import { Metrics } from './metrics.ts';

@ApiTags('metrics')
@Controller('metrics')
export class MetricsController {
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  @Get()
  @PublicOnLoopback()
  @ApiProduces('text/plain')
  @ApiOperation({ summary: 'Metrics in the text format of Prometheus' })
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  read(): Promise<string> {
    return this.#metrics.registry.metrics();
  }
}
