import type { Receiver, SharedList } from '../../store/agreement/shared-list.js';
import type { Revocation } from './revocation.js';

/** What shares revocations between processes. */
export type RevocationStore = SharedList<Revocation>;
export type RevocationReceiver = Receiver<Revocation>;
