/** What processes say to each other on a shared list's channel, beside its entries; none of it is JSON. */
export type PeerCall =
  /** Entries were put back on a list that had lost them: load soon. */
  | { readonly kind: 'put-back' }
  /** A process starts: put back what the list lacks, then answer. */
  | { readonly kind: 'ask'; readonly id: string }
  /** Whatever this process remembers is on the list. */
  | { readonly kind: 'answer'; readonly id: string };

const SPOKEN = /^(ask|answer) ([\da-f-]{36})$/;
const PUT_BACK = 'put back';

export function serializeCall(call: PeerCall): string {
  return call.kind === 'put-back' ? PUT_BACK : `${call.kind} ${call.id}`;
}

/** The reverse of `serializeCall`; undefined for anything else. */
export function deserializeCall(text: string): PeerCall | undefined {
  if (text === PUT_BACK) return { kind: 'put-back' };
  const [, kind, id = ''] = SPOKEN.exec(text) ?? [];
  return kind === 'ask' || kind === 'answer' ? { kind, id } : undefined;
}
