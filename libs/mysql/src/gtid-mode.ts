/** MySQL changes `gtid_mode` by one step at a time, and only while no transaction breaks the consistency it needs. */
export const RAISE_GTID_MODE =
  'SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON;';
