/**
 * Runs `work` once uWebSockets.js is through with the handler it is in. What requests and bodies set going
 * may answer another client that waits for its 101, and an upgrade of one socket while uWebSockets.js reads
 * from another one ends the process: nothing that comes out of a handler of ours upgrades anybody but the
 * client whose handler it is.
 */
export function outsideHandlers(work: () => void): void {
  setImmediate(work);
}
