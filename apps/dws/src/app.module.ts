import { Module } from '@nestjs/common';
import { ConnectionsModule } from './connections/connections.module.ts';
import { ExplainController } from './explain/explain.controller.ts';
import { Explainer } from './explain/explainer.ts';
import { DueJobs } from './jobs/due-jobs.ts';
import { FailedEventRetries } from './failed-events/failed-event-retries.ts';
import { GapJobs } from './gaps/gap-jobs.ts';
import { AuditController } from './http/audit.controller.ts';
import { CoverageController } from './http/coverage.controller.ts';
import { FailedEventsController } from './http/failed-events.controller.ts';
import { HeartbeatsController } from './http/heartbeats.controller.ts';
import { MismatchesController } from './http/mismatches.controller.ts';
import { RepairsController } from './http/repairs.controller.ts';
import { SweepsController } from './http/sweeps.controller.ts';
import { VerificationsController } from './http/verifications.controller.ts';
import { FailedEventMetrics } from './metrics/failed-event-metrics.ts';
import { GapMetrics } from './metrics/gap-metrics.ts';
import { CoverageMetrics } from './metrics/coverage-metrics.ts';
import { JobMetrics } from './metrics/job-metrics.ts';
import { ProbeMetrics } from './metrics/probe-metrics.ts';
import { RecentMetrics } from './metrics/recent-metrics.ts';
import { RepairMetrics } from './metrics/repair-metrics.ts';
import { TopicMetrics } from './metrics/topic-metrics.ts';
import { VerificationMetrics } from './metrics/verification-metrics.ts';
import { EndpointProber } from './probes/endpoint-prober.ts';
import { HeartbeatBoard } from './probes/heartbeat-board.ts';
import { ProbeJobs } from './probes/probe-jobs.ts';
import { MirrorFollower } from './recent/mirror-follower.ts';
import { RecentRows } from './recent/recent-rows.ts';
import { TopicFollower } from './recent/topic-follower.ts';
import { SourceRepairs } from './repairs/source-repairs.ts';
import { SelfReport } from './self-report.ts';
import { HistoryJobs } from './sweeps/history-jobs.ts';
import { HistorySweeper } from './sweeps/history-sweeper.ts';
import { MirrorSweeper } from './sweeps/mirror-sweeper.ts';
import { SweepJobs } from './sweeps/sweep-jobs.ts';
import { ChunkRunner } from './verification/chunk-runner.ts';
import { MismatchReports } from './verification/mismatch-reports.ts';
import { RecurringRuns } from './verification/recurring-runs.ts';
import { VerificationJobs } from './verification/verification-jobs.ts';
import { VerificationRuns } from './verification/verification-runs.ts';
import { WebhookDeliveries } from './webhooks/webhook-deliveries.ts';
import { StreamedEndpoints } from './probes/streamed-endpoints.ts';
import { VerifiedSources } from './verification/verified-sources.ts';

/** The composition root of DWS. */
@Module({
  imports: [ConnectionsModule],
  providers: [
    JobMetrics,
    ProbeMetrics,
    EndpointProber,
    HeartbeatBoard,
    StreamedEndpoints,
    ProbeJobs,
    MirrorSweeper,
    SweepJobs,
    HistorySweeper,
    HistoryJobs,
    CoverageMetrics,
    TopicMetrics,
    VerificationMetrics,
    MismatchReports,
    VerifiedSources,
    VerificationRuns,
    ChunkRunner,
    RecurringRuns,
    VerificationJobs,
    RecentMetrics,
    RecentRows,
    TopicFollower,
    MirrorFollower,
    GapMetrics,
    GapJobs,
    Explainer,
    RepairMetrics,
    SourceRepairs,
    FailedEventMetrics,
    FailedEventRetries,
    WebhookDeliveries,
    DueJobs,
    SelfReport,
  ],
  controllers: [
    HeartbeatsController,
    SweepsController,
    VerificationsController,
    CoverageController,
    MismatchesController,
    ExplainController,
    RepairsController,
    FailedEventsController,
    AuditController,
  ],
})
export class AppModule {}
