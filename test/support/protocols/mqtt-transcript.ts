import { generate, type Packet, parser } from 'mqtt-packet';
import { Peer } from '../clients/ws-client.js';
import { eventually } from '../eventually.js';
import { DISCONNECT, type Step } from './mqtt-scenarios.js';

type Version = 3 | 4 | 5;

/** Whose say is written down. */
export interface Broker {
  readonly version: Version;
  readonly url: string;
  readonly token?: string;
  /**
   * Whether it serves its clients side by side: then what a client has caused is known to have come when
   * fences have that it published behind it. Else a ping to each client is answered behind the rest.
   */
  readonly fenced?: boolean;
  /**
   * Stands behind the ids of clients: those of another run, which the broker may not have
   * forgotten yet, are others.
   */
  readonly ids?: string;
}

/** One for each kind of queue that a broker may keep for a client. */
const FENCES = [
  { topic: 'fence/0', qos: 0 },
  { topic: 'fence/1', qos: 1 },
] as const;
/** Packets of fences are known by their numbers: these, and higher ones. */
const FENCE_ID = 60_000;

/** A client that answers acknowledgements as it should, and writes down all that it is told. */
class Client {
  readonly #reader;
  readonly #told: Packet[] = [];
  /** What has come at each fence, latest last. */
  readonly #fences = new Map<string, string>();
  #acknowledged = 0;
  #pongs = 0;
  #owes = false;

  constructor(
    readonly peer: Peer,
    readonly version: Version,
    readonly fenced: boolean,
    readonly ids: string,
  ) {
    this.#reader = parser({ protocolVersion: version });
    this.#reader.on('packet', (packet: Packet) => this.#hear(packet));
  }

  say(what: Packet | Buffer): void {
    if (Buffer.isBuffer(what)) return this.peer.send(what);
    const { version: protocolVersion, ids } = this;
    const name = protocolVersion === 3 ? { protocolId: 'MQIsdp' as const } : {};
    const packet =
      what.cmd === 'connect'
        ? { ...what, ...name, protocolVersion, clientId: `${what.clientId}${ids}` }
        : what;
    this.peer.send(generate(packet, { protocolVersion }));
  }

  #hear(packet: Packet): void {
    if (packet.cmd === 'pingresp') {
      this.#pongs++;
      return;
    }
    const isFence = packet.cmd === 'publish' && packet.topic.startsWith('fence/');
    if (isFence) this.#fences.set(packet.topic, packet.payload.toString());
    else if ((packet.messageId ?? 0) >= FENCE_ID && packet.cmd !== 'publish') {
      this.#acknowledged++;
      return;
    } else this.#told.push(packet);
    const answer = { publish: 'puback', pubrec: 'pubrel', pubrel: 'pubcomp' }[String(packet.cmd)];
    if (answer === undefined || (packet.cmd === 'publish' && packet.qos === 0)) return;
    const cmd = packet.cmd === 'publish' && packet.qos === 2 ? 'pubrec' : answer;
    this.say({ cmd, messageId: packet.messageId, reasonCode: 0 } as Packet);
    this.#owes = true;
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done()) this.#reader.parse((await this.peer.next()).data);
  }

  /** Hears of fences from now on. */
  async seeFences(): Promise<void> {
    const before = this.#acknowledged;
    this.say({ cmd: 'subscribe', messageId: FENCE_ID, subscriptions: [...FENCES] } as Packet);
    await this.#until(() => this.#acknowledged > before);
  }

  /** Sets fences behind all that it has said. */
  async setFences(mark: string): Promise<void> {
    const before = this.#acknowledged;
    for (const [at, { topic }] of FENCES.entries())
      this.say({
        ...{ cmd: 'publish', topic, payload: mark, qos: 1, dup: false, retain: false },
        messageId: FENCE_ID + 1 + at,
      });
    await this.#until(() => this.#acknowledged >= before + FENCES.length);
  }

  /** What has come before those fences. */
  async reached(mark: string): Promise<void> {
    await this.#until(() => FENCES.every(({ topic }) => this.#fences.get(topic) === mark));
  }

  /**
   * All that the broker has for this client by now: it serves its clients in turn, and
   * answers a ping behind the rest.
   */
  async settled(): Promise<string[]> {
    do {
      this.#owes = false;
      const pongs = this.#pongs;
      this.say({ cmd: 'pingreq' });
      await this.#until(() => this.#pongs > pongs);
    } while (this.#owes);
    return this.#taken();
  }

  /** What the broker says before it hangs up. How it does that, the gateway tells in codes of its own. */
  async ended(): Promise<string[]> {
    await this.peer.ended();
    for (const { data } of this.peer.inbox.splice(0)) this.#reader.parse(data);
    return [...this.#taken(), 'the end'];
  }

  #taken(): string[] {
    // Beside fences, what number a message comes under is a matter of time.
    const told = this.#told.splice(0);
    return told.map((packet) =>
      JSON.stringify(this.fenced && packet.cmd === 'publish' ? { ...packet, messageId: undefined } : packet),
    );
  }
}

/** What a broker says to each client of a scenario, step by step. */
export async function transcript(
  steps: readonly Step[],
  { version, url, token, fenced = false, ids = '' }: Broker,
): Promise<string[]> {
  const clients = new Map<string, Client>();
  const lines: string[] = [];
  const note = (name: string, told: readonly string[]): void => {
    lines.push(...told.map((line) => `${name}: ${line}`));
  };
  for (const [at, [who, what, { ends, hears } = {}]] of steps.entries()) {
    if (!clients.has(who)) {
      const options = { protocols: ['mqtt'], ...(token !== undefined && { token }) };
      clients.set(who, new Client(await Peer.open(url, options), version, fenced, ids));
    }
    const client = clients.get(who)!;
    if (what === 'vanishes') {
      clients.delete(who);
      client.peer.socket.terminate();
    } else client.say(what);
    if (ends === undefined && what !== 'vanishes') {
      if (fenced) {
        if (!Buffer.isBuffer(what) && what.cmd === 'connect') await client.seeFences();
        await client.setFences(String(at));
        for (const other of clients.values()) await other.reached(String(at));
      }
      note(who, await client.settled());
    }
    if (ends !== undefined) {
      note(ends, await clients.get(ends)!.ended());
      clients.delete(ends);
    }
    if (hears !== undefined)
      note(
        hears,
        await eventually(async () => {
          const told = await clients.get(hears)!.settled();
          return told.length > 0 && told;
        }),
      );
    for (const [name, other] of clients) note(name, await other.settled());
  }
  for (const { peer } of clients.values()) peer.send(generate(DISCONNECT));
  await Promise.all([...clients.values()].map(({ peer }) => peer.ended()));
  return lines;
}
