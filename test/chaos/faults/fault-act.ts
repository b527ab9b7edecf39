/** A fault that happens, and ends. */
export interface FaultAct {
  apply(): Promise<void>;
  /** What the fault took is there again; whether it works again is for others to see. */
  calm(): Promise<void>;
}
