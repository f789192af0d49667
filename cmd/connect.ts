import { isatty } from 'node:tty';
import { connectMqtt } from './connect/mqtt.js';
import { type ConnectPlan, PLACES } from './connect/plan.js';
import { connectRaw } from './connect/raw.js';
import { command as define, UsageError } from './line/command.js';
import { LONGEST_WAIT, secondsOf } from './line/numbers.js';
import { readToken, TOKEN_OPTIONS } from './line/token-input.js';

export const command = define({
  name: 'connect',
  summary: 'Talks to a gateway: raw WebSocket or MQTT, line by line',
  operands: 'URL',
  about: `Each line of standard input is a message; what comes back is printed, and at the end the close code with its meaning.
With --mqtt lines are commands: sub TOPIC, unsub TOPIC, pub TOPIC MESSAGE.`,
  options: {
    ...TOKEN_OPTIONS,
    in: {
      value: 'PLACE',
      text: `where the token goes: ${PLACES.join(', ')};\ndefault: password with --mqtt, else header`,
    },
    mqtt: { text: 'speak MQTT 5.0' },
    'mqtt-3': { text: 'speak MQTT 3.1.1' },
    protocol: { value: 'NAME', text: 'a sub-protocol to offer; may be given several times', multiple: true },
    header: { value: 'NAME: VALUE', text: 'another header; may be given several times', multiple: true },
    origin: { value: 'ORIGIN', text: 'the Origin that a browser would send' },
    binary: { text: 'send lines as binary messages' },
    insecure: { text: 'take any certificate' },
    wait: { value: 'TIME', text: 'how long to stay when standard input ends; default: 1s' },
  },
  notes: `Exit status: 0 ended by this side, 1 refused or ended by the gateway, 2 wrong usage.

Examples:
  ws-gateway connect ws://localhost:8080/ws/echo --token-file token.txt
  echo 'pub hello world' | ws-gateway connect --mqtt ws://localhost:8080/ws/mqtt --token-file token.txt`,
  async run(flags, operands) {
    const [url, ...others] = operands;
    if (url === undefined || others.length > 0)
      throw new UsageError(['connect wants one URL: ws://… or wss://…']);
    if (!URL.canParse(url) || !/^wss?:$/.test(new URL(url).protocol))
      throw new UsageError([`${JSON.stringify(url)} is no ws:// or wss:// URL`]);
    if (flags.token === '-') throw new UsageError(['standard input is for messages here: use --token-file']);
    if (flags.mqtt && flags['mqtt-3']) throw new UsageError(['--mqtt beside --mqtt-3: give one of them']);
    const version = flags.mqtt ? 5 : flags['mqtt-3'] ? 4 : undefined;
    const place = PLACES.find(
      (each) => each === (flags.in ?? (version === undefined ? 'header' : 'password')),
    );
    if (place === undefined) throw new UsageError([`--in must be one of ${PLACES.join(', ')}`]);
    if (version === undefined && place === 'password')
      throw new UsageError(['--in password goes with --mqtt only']);
    if (version !== undefined && place === 'message')
      throw new UsageError(['--in message goes without --mqtt only']);
    if (version !== undefined && flags.binary) throw new UsageError(['--binary goes without --mqtt only']);
    const plan: ConnectPlan = {
      url,
      token: await readToken(flags),
      place,
      subprotocols: flags.protocol,
      headers: Object.fromEntries(flags.header.map(headerOf)),
      origin: flags.origin,
      insecure: flags.insecure,
      lingerMs: secondsOf(flags.wait ?? '1s', '--wait', LONGEST_WAIT) * 1000,
      prompts: isatty(0) && isatty(1),
    };
    const code = await (version === undefined
      ? connectRaw(plan, flags.binary)
      : connectMqtt(plan, version)
    ).catch(neverSent);
    // Standard input may still be open.
    process.exit(code);
  },
});

function headerOf(line: string): [string, string] {
  const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(line) ?? [];
  if (name === undefined || value === undefined)
    throw new UsageError([`--header ${JSON.stringify(line)} is not NAME: VALUE`]);
  return [name, value];
}

/**
 * What `ws` and Node refuse before anything is sent: a header, a sub-protocol or a URL
 * that no handshake can hold.
 */
function neverSent(thrown: unknown): never {
  if (thrown instanceof TypeError || thrown instanceof SyntaxError)
    throw new UsageError([`no handshake can be made of that: ${thrown.message}`]);
  throw thrown;
}
