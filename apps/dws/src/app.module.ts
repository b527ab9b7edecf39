import { Module } from '@nestjs/common';
import { ConnectionsModule } from './connections/connections.module.ts';
import { ExplainController } from './explain/explain.controller.ts';
import { Explainer } from './explain/explainer.ts';
import { HeartbeatsController } from './http/heartbeats.controller.ts';
import { SweepsController } from './http/sweeps.controller.ts';
import { JobMetrics } from './metrics/job-metrics.ts';
import { ProbeMetrics } from './metrics/probe-metrics.ts';
import { EndpointProber } from './probes/endpoint-prober.ts';
import { HeartbeatBoard } from './probes/heartbeat-board.ts';
import { ProbeJobs } from './probes/probe-jobs.ts';
import { SelfReport } from './self-report.ts';
import { MirrorSweeper } from './sweeps/mirror-sweeper.ts';
import { SweepJobs } from './sweeps/sweep-jobs.ts';

/** The composition root of DWS. */
@Module({
  imports: [ConnectionsModule],
  providers: [
    JobMetrics,
    ProbeMetrics,
    EndpointProber,
    HeartbeatBoard,
    ProbeJobs,
    MirrorSweeper,
    SweepJobs,
    Explainer,
    SelfReport,
  ],
  controllers: [HeartbeatsController, SweepsController, ExplainController],
})
export class AppModule {}
