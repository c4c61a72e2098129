/**
 * The seam between shiplog and the kernel. Each file, process and kernel call is announced by name before it is made, so that a test
 * can let the n-th call of one operation fail and then check that nothing acknowledged was lost.
 */

/** Called with the operation's name (for example `log.fdatasync`) before the call is made; throwing makes that call fail. */
export type OperationHook = (operation: string) => void;

/** The hook of production: every operation goes ahead. */
export const proceed: OperationHook = () => {};
