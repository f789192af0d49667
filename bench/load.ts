/**
 * The load generator: one measurement a process. Takes a `Job` as its argument, prints an `Outcome`. It reads the
 * proxy's CPU time and memory itself, in the same turn in which it reads its own counters.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { clientClose, clientMessage } from './frames.js';
import { type Address, LoadConnection } from './load-connection.js';
import { cpuMicros, rssBytes } from './process-usage.js';

export interface Job extends Address {
  /**
   * saturate: every connection keeps `inflight` messages under way. rate: `perSecond` messages over all connections, in
   * groups of `inflight`, however long their echoes take. idle: connections that say nothing. connect: connections that open and close.
   */
  readonly mode: 'saturate' | 'rate' | 'idle' | 'connect';
  readonly connections: number;
  readonly inflight: number;
  readonly payloadBytes: number;
  readonly perSecond: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** JSON list of tokens; connections take them in turn. */
  readonly tokenFile: string;
  readonly firstToken: number;
  /** undefined: a direct connection. */
  readonly pid?: number;
}

/** Fields that do not apply are left out. */
export interface Outcome {
  readonly messagesPerSecond?: number;
  /** CPU time of the proxy per echoed message, or per connection opened and closed. */
  readonly cpuMicros?: number;
  /** Share of one core that the proxy was busy. */
  readonly busy?: number;
  readonly p50Micros?: number;
  readonly p99Micros?: number;
  readonly bytesPerSession?: number;
}

const OPENING_AT_ONCE = 50;
const PACE_MS = 1;

const job = JSON.parse(process.argv[2] ?? '{}') as Job;
const tokens = JSON.parse(readFileSync(job.tokenFile, 'utf8')) as readonly string[];
const readBuffer = Buffer.allocUnsafe(65_536);
let nextToken = job.firstToken;

function openOne(onMessages: (connection: LoadConnection, count: number) => void): LoadConnection {
  const token = tokens[nextToken++ % tokens.length];
  return new LoadConnection(job, token, readBuffer, onMessages);
}

async function openAll(
  count: number,
  onMessages: (connection: LoadConnection, count: number) => void,
): Promise<LoadConnection[]> {
  const connections: LoadConnection[] = [];
  while (connections.length < count) {
    const some = Math.min(OPENING_AT_ONCE, count - connections.length);
    const batch = Array.from({ length: some }, () => openOne(onMessages));
    await Promise.all(batch.map((connection) => connection.opened));
    connections.push(...batch);
  }
  return connections;
}

/** What the proxy used while `work` ran. */
async function measured<T>(
  work: () => Promise<T>,
): Promise<{ result: T; elapsedMs: number; cpu: number | undefined }> {
  const { pid } = job;
  const startMs = performance.now();
  const before = pid === undefined ? 0 : cpuMicros(pid);
  const result = await work();
  const cpu = pid === undefined ? undefined : cpuMicros(pid) - before;
  return { result, elapsedMs: performance.now() - startMs, cpu };
}

async function saturate(): Promise<Outcome> {
  const { inflight } = job;
  const frame = clientMessage(job.payloadBytes);
  const frames = Buffer.concat(Array.from({ length: inflight }, () => frame));
  let echoed = 0;
  const connections = await openAll(job.connections, (connection, count) => {
    echoed += count;
    connection.send(count === inflight ? frames : frames.subarray(0, count * frame.length));
  });
  for (const connection of connections) connection.send(frames);
  await pause(job.warmupMs);
  const { result, elapsedMs, cpu } = await measured(async () => {
    const before = echoed;
    await pause(job.durationMs);
    return echoed - before;
  });
  for (const connection of connections) connection.destroy();
  if (result === 0) throw new Error('nothing was echoed');
  return {
    messagesPerSecond: (result * 1000) / elapsedMs,
    ...(cpu === undefined ? {} : { cpuMicros: cpu / result, busy: cpu / 1000 / elapsedMs }),
  };
}

/** Sends at a steady rate, whatever the echoes do; an echo's time counts from when its message was written. */
async function atRate(): Promise<Outcome> {
  const { inflight } = job;
  const group = Buffer.concat(Array.from({ length: inflight }, () => clientMessage(job.payloadBytes)));
  /** When the messages under way were written, oldest first, by connection. */
  const underWay = new Map<LoadConnection, number[]>();
  const latencies: number[] = [];
  let recording = false;
  const connections = await openAll(job.connections, (connection, count) => {
    const nowMs = performance.now();
    for (const sentMs of underWay.get(connection)?.splice(0, count) ?? []) {
      if (recording) latencies.push((nowMs - sentMs) * 1000);
    }
  });
  for (const connection of connections) underWay.set(connection, []);
  const startMs = performance.now();
  let sent = 0;
  const pacer = setInterval(() => {
    const nowMs = performance.now();
    const due = Math.floor(((nowMs - startMs) * job.perSecond) / 1000);
    for (; sent < due; sent += inflight) {
      const connection = connections[(sent / inflight) % connections.length];
      if (connection === undefined) return;
      underWay.get(connection)?.push(...new Array(inflight).fill(performance.now()));
      connection.send(group);
    }
  }, PACE_MS);
  await pause(job.warmupMs);
  recording = true;
  await pause(job.durationMs);
  recording = false;
  clearInterval(pacer);
  for (const connection of connections) connection.destroy();
  latencies.sort((a, b) => a - b);
  const quantile = (share: number): number =>
    latencies[Math.floor(share * (latencies.length - 1))] ?? Number.NaN;
  return { p50Micros: quantile(0.5), p99Micros: quantile(0.99) };
}

/** What one more session costs: a tenth of them is there before, with all that a process needs once. */
async function idle(): Promise<Outcome> {
  const { pid } = job;
  if (pid === undefined) return {};
  const first = await openAll(Math.ceil(job.connections / 10), () => {});
  await pause(job.warmupMs);
  const before = rssBytes(pid);
  const others = await openAll(job.connections, () => {});
  await pause(job.durationMs);
  const after = rssBytes(pid);
  for (const connection of [...first, ...others]) connection.destroy();
  return { bytesPerSession: (after - before) / job.connections };
}

async function openAndClose(): Promise<Outcome> {
  const close = clientClose();
  let left = job.connections;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const connection = openOne(() => {});
      await connection.opened;
      connection.send(close);
      await connection.closed;
    }
  };
  const { elapsedMs, cpu } = await measured(() => Promise.all(Array.from({ length: 20 }, client)));
  return cpu === undefined ? {} : { cpuMicros: cpu / job.connections, busy: cpu / 1000 / elapsedMs };
}

const outcome = await { saturate, rate: atRate, idle, connect: openAndClose }[job.mode]();
process.stdout.write(JSON.stringify(outcome), () => process.exit(0));
