import type { Receiver, SharedList } from '../../store/agreement/shared-list.js';
import type { RevocationNews } from './revocation.js';

/** What shares revocations between processes. */
export type RevocationStore = SharedList<RevocationNews>;
export type RevocationReceiver = Receiver<RevocationNews>;
