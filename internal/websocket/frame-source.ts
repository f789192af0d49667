/** What a direction's far side has to know before it puts a frame of its own between those that pass. */
export interface FrameSource {
  /** Whether a frame has been passed on in part: nothing may come between its pieces. */
  readonly midFrame: boolean;
  /** Whether no more of that frame will come. */
  readonly stopped: boolean;
}
