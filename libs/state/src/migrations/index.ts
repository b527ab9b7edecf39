import { CreateState1795300000000 } from './1795300000000-create-state.ts';
import { AddResync1795400000000 } from './1795400000000-add-resync.ts';
import { AddExcludedColumns1795550000000 } from './1795550000000-add-excluded-columns.ts';
import { AddCascadeRereads1795600000000 } from './1795600000000-add-cascade-rereads.ts';
import { AddCheckpointProof1795700000000 } from './1795700000000-add-checkpoint-proof.ts';
import { AddTableKeys1795750000000 } from './1795750000000-add-table-keys.ts';
import { ReserveReads1795850000000 } from './1795850000000-reserve-reads.ts';
import { AddTopicEnds1795910000000 } from './1795910000000-add-topic-ends.ts';
import { AddAuditRepeats1795950000000 } from './1795950000000-add-audit-repeats.ts';
import { IndexAuditLog1795960000000 } from './1795960000000-index-audit-log.ts';
import { AddTableRecords1796000000000 } from './1796000000000-add-table-records.ts';
import { AddRequestedReads1796050000000 } from './1796050000000-add-requested-reads.ts';
import { AddUndecidedSet1796100000000 } from './1796100000000-add-undecided-set.ts';
import { AddReadScopes1796110000000 } from './1796110000000-add-read-scopes.ts';
import { AddVerification1796200000000 } from './1796200000000-add-verification.ts';
import { AddRepairs1796300000000 } from './1796300000000-add-repairs.ts';
import { AddCoverage1796400000000 } from './1796400000000-add-coverage.ts';
import { IndexMismatches1796410000000 } from './1796410000000-index-mismatches.ts';
import { AddReadPlaces1796414000000 } from './1796414000000-add-read-places.ts';
import { AddSecondWay1796461000000 } from './1796461000000-add-second-way.ts';
import { AddSwitches1796550000000 } from './1796550000000-add-switches.ts';
import { CountIgnored1796560000000 } from './1796560000000-count-ignored.ts';
import { AddFailedEvents1796570000000 } from './1796570000000-add-failed-events.ts';
import { AcceptLosses1796580000000 } from './1796580000000-accept-losses.ts';
import { AddPlacements1796581000000 } from './1796581000000-add-placements.ts';
import { IndexAuditSubjects1796582000000 } from './1796582000000-index-audit-subjects.ts';
import { AddNotices1796583000000 } from './1796583000000-add-notices.ts';
import { IndexDueNotices1796584000000 } from './1796584000000-index-due-notices.ts';
import { CountPlacements1796585000000 } from './1796585000000-count-placements.ts';
import { IndexOpenMismatches1796586000000 } from './1796586000000-index-open-mismatches.ts';
import { MarkResyncsOfLosses1796587000000 } from './1796587000000-mark-resyncs-of-losses.ts';

/** Every migration, oldest first. A released one is never changed; a new one is added at the end. */
export const migrations = [
  CreateState1795300000000,
  AddResync1795400000000,
  AddExcludedColumns1795550000000,
  AddCascadeRereads1795600000000,
  AddCheckpointProof1795700000000,
  AddTableKeys1795750000000,
  ReserveReads1795850000000,
  AddTopicEnds1795910000000,
  AddAuditRepeats1795950000000,
  IndexAuditLog1795960000000,
  AddTableRecords1796000000000,
  AddRequestedReads1796050000000,
  AddUndecidedSet1796100000000,
  AddReadScopes1796110000000,
  AddVerification1796200000000,
  AddRepairs1796300000000,
  AddCoverage1796400000000,
  IndexMismatches1796410000000,
  AddReadPlaces1796414000000,
  AddSecondWay1796461000000,
  AddSwitches1796550000000,
  CountIgnored1796560000000,
  AddFailedEvents1796570000000,
  AcceptLosses1796580000000,
  AddPlacements1796581000000,
  IndexAuditSubjects1796582000000,
  AddNotices1796583000000,
  IndexDueNotices1796584000000,
  CountPlacements1796585000000,
  IndexOpenMismatches1796586000000,
  MarkResyncsOfLosses1796587000000,
];
