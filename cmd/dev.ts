import { isProduction } from '../internal/config/environment/surroundings.js';
import { quote } from '../internal/config/secrets.js';
import { isUrl } from '../internal/config/syntax.js';
import { isLoopbackHost, startDev } from './dev/stage.js';
import { welcome } from './dev/welcome.js';
import { command as define, UsageError } from './line/command.js';
import { wholeNumberOf } from './line/numbers.js';
import { heed } from './signals.js';

const DEFAULT_PORT = 8080;

export const command = define({
  name: 'dev',
  summary: 'A gateway to try things with: keys, backends and a page to click, all in this process',
  about: `An issuer with a key made at the start, an echo, a JSON-RPC backend and an MQTT broker, and the gateway in front of
them. Prints a URL, a token and the address of a page with clients for both. Nothing is kept. For this machine only:
whoever reaches its port can have a token for anybody. So it answers only to its address, localhost, 127.0.0.1 and
[::1], and not to other names, which a web page could have made to lead here.`,
  options: {
    port: {
      value: 'PORT',
      text: `the gateway's, 0 for any; default: ${DEFAULT_PORT}, or another one if that is taken`,
    },
    host: { value: 'HOST', text: 'the address to listen on; default: 127.0.0.1' },
    upstream: { value: 'URL', text: 'a backend of your own, ws:// or http://: it is at /app' },
    public: { text: 'allow another address than loopback, any name, and NODE_ENV=production' },
    verbose: { text: 'show the whole log' },
  },
  async run(flags) {
    const host = flags.host ?? '127.0.0.1';
    const port = wholeNumberOf(flags.port ?? String(DEFAULT_PORT), '--port', 'port', { min: 0, max: 65_535 });
    if (!flags.public && !isLoopbackHost(host))
      throw new UsageError([
        `--host ${host}: others could have tokens for anybody; --public allows it all the same`,
      ]);
    if (!flags.public && isProduction())
      throw new UsageError([
        'NODE_ENV is production: dev hands out tokens to anybody; --public allows it all the same',
      ]);
    const { upstream } = flags;
    if (
      upstream !== undefined &&
      !isUrl(upstream, { schemes: ['ws', 'wss', 'http', 'https'], credentials: false })
    )
      throw new UsageError([
        `--upstream ${quote(upstream)} is no ws://, wss://, http:// or https:// URL without credentials and fragment`,
      ]);
    const dev = await startDev({
      host,
      port,
      anyPort: flags.port === undefined || port === 0,
      anyName: flags.public,
      upstream,
      verbose: flags.verbose,
    });
    heed(Promise.resolve({ stop: () => dev.stop(), reload: () => {} }), (thrown) => {
      throw thrown;
    });
    process.stdout.write(await welcome(dev));
    return await new Promise<never>(() => {});
  },
});
