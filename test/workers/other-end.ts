/** The other process of link.test.ts, and the worker of crew.test.ts. */
import { Link } from '../../internal/workers/link.js';
import type { Echo } from './echo.js';

const link = new Link<Echo, Echo>(process);
link.offer({
  echo: (value) => value,
  fail: (text) => {
    throw new TypeError(text);
  },
  hang: () => new Promise(() => {}),
  bounce: (value) => link.ask('echo', [value]),
  ping: () => {},
  exit: () => process.exit(7),
});
process.once('disconnect', () => process.exit(0));
