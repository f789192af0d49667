/**
 * The load generator: one measurement a process. Takes a `Job` as its argument, prints an `Outcome`. It reads
 * the proxy's CPU time and memory itself, in the same turn in which it reads its own counters.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { type Crowd, DeflateCrowd, EchoCrowd, type OnArrived, type OpenOne } from './crowd.js';
import { clientClose } from './frames.js';
import type { Job, Outcome } from './job.js';
import { LoadConnection } from './load-connection.js';
import { TlsClients } from './load-tls.js';
import { cpuMicros, rssBytes } from './process-usage.js';

const PACE_MS = 1;

const job = JSON.parse(process.argv[2] ?? '{}') as Job;
const tokens =
  job.tokenFile === undefined ? [] : (JSON.parse(readFileSync(job.tokenFile, 'utf8')) as readonly string[]);
const readBuffer = Buffer.allocUnsafe(65_536);
const tls = job.tls && new TlsClients(job.tls.certFile, job.tls.resumes);
let nextToken = job.firstToken;

const takeToken = (): string | undefined => tokens[nextToken++ % tokens.length];

const openOne: OpenOne = (onMessages, options = {}) =>
  new LoadConnection({
    port: job.port,
    path: job.path,
    // An MQTT client has it in its CONNECT.
    token: options.subprotocol === undefined ? takeToken() : undefined,
    buffer: readBuffer,
    tls,
    onMessages,
    ...options,
  });

function createCrowd(): Crowd {
  const { payloadBytes, inflight } = job;
  switch (job.speech) {
    case 'plain':
      return new EchoCrowd(openOne, payloadBytes, inflight);
    case 'deflate':
      return new DeflateCrowd(openOne, payloadBytes);
    case 'publish':
      throw new Error('publishing is for native/crowd.c');
  }
}

const cpuOfAll = (): number => job.pids.reduce((sum, pid) => sum + cpuMicros(pid), 0);

/** What the proxy used while `work` ran. */
async function measured<T>(
  work: () => Promise<T>,
): Promise<{ result: T; elapsedMs: number; cpu: number | undefined }> {
  const startMs = performance.now();
  const before = cpuOfAll();
  const result = await work();
  const cpu = job.pids.length === 0 ? undefined : cpuOfAll() - before;
  return { result, elapsedMs: performance.now() - startMs, cpu };
}

/** Until messages count: the warm-up, or the moment that several load generators have agreed on. */
async function warmUp(): Promise<void> {
  const { startAtMs } = job;
  const waitMs = startAtMs === undefined ? job.warmupMs : startAtMs - Date.now();
  if (waitMs < 0) throw new Error(`connections were open ${-waitMs} ms too late`);
  await pause(waitMs);
}

async function saturate(): Promise<Outcome> {
  const { inflight, durationMs } = job;
  const crowd = createCrowd();
  let arrived = 0;
  const connections = await crowd.open(job.connections, (connection, count) => {
    arrived += count;
    crowd.say(connection, count);
  });
  const bytesRead = (): number => connections.reduce((sum, connection) => sum + connection.bytesRead, 0);
  for (const connection of connections) crowd.say(connection, inflight);
  await warmUp();
  const { result, elapsedMs, cpu } = await measured(async () => {
    const before = { arrived, bytes: bytesRead() };
    await pause(durationMs);
    return { messages: arrived - before.arrived, bytes: bytesRead() - before.bytes };
  });
  for (const connection of connections) connection.destroy();
  if (result.messages === 0) throw new Error('nothing arrived');
  return {
    messagesPerSecond: (result.messages * 1000) / elapsedMs,
    ...perUnit(cpu, result.messages, elapsedMs),
    ...(job.speech === 'deflate' ? { wireBytes: result.bytes / result.messages } : {}),
    ...agreedTls(),
  };
}

function perUnit(cpu: number | undefined, units: number, elapsedMs: number): Outcome {
  return cpu === undefined ? {} : { cpuMicros: cpu / units, busy: cpu / 1000 / elapsedMs };
}

function agreedTls(): Outcome {
  if (tls === undefined) return {};
  return {
    tls: tls.agreed,
    ...(tls.resumes ? { resumed: tls.resumed / tls.connections } : {}),
  };
}

/** Sends at a steady rate, whatever arrives; a message's time counts from when it was written. */
async function atRate(): Promise<Outcome> {
  const { inflight } = job;
  const crowd = createCrowd();
  /** When the messages under way were written, oldest first, by connection. */
  const underWay = new Map<LoadConnection, number[]>();
  const latencies: number[] = [];
  let recording = false;
  let arrived = 0;
  const onArrived: OnArrived = (connection, count) => {
    const nowMs = performance.now();
    arrived += count;
    for (const sentMs of underWay.get(connection)?.splice(0, count) ?? []) {
      if (recording) latencies.push((nowMs - sentMs) * 1000);
    }
  };
  const connections = await crowd.open(job.connections, onArrived);
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
      crowd.say(connection, inflight);
    }
  }, PACE_MS);
  await warmUp();
  recording = true;
  const { result, elapsedMs, cpu } = await measured(async () => {
    const before = arrived;
    await pause(job.durationMs);
    return arrived - before;
  });
  recording = false;
  clearInterval(pacer);
  for (const connection of connections) connection.destroy();
  latencies.sort((a, b) => a - b);
  const quantile = (share: number): number =>
    latencies[Math.floor(share * (latencies.length - 1))] ?? Number.NaN;
  return {
    messagesPerSecond: (result * 1000) / elapsedMs,
    ...perUnit(cpu, result, elapsedMs),
    p50Micros: quantile(0.5),
    p99Micros: quantile(0.99),
  };
}

/** What opening took and idling does not is given back by then. */
const SETTLE_MS = 15_000;

/** What one more session costs: a tenth of them is there before, with all that a process needs once. */
async function idle(): Promise<Outcome> {
  const [pid] = job.pids;
  if (pid === undefined) return {};
  const crowd = createCrowd();
  const first = await crowd.open(Math.ceil(job.connections / 10), () => {});
  await pause(job.warmupMs);
  const before = rssBytes(pid);
  const others = await crowd.open(job.connections, () => {});
  await pause(SETTLE_MS);
  const after = rssBytes(pid);
  for (const connection of [...first, ...others]) connection.destroy();
  return { bytesPerSession: (after - before) / job.connections };
}

async function openAndClose(): Promise<Outcome> {
  const close = clientClose();
  const one = async (): Promise<void> => {
    const connection = openOne(() => {});
    await connection.opened;
    connection.send(close);
    await connection.closed;
  };
  // For its session, which the others resume.
  if (tls?.resumes) await one();
  let left = 0;
  const client = async (): Promise<void> => {
    while (left-- > 0) await one();
  };
  const all = (): Promise<unknown> => {
    left = job.connections;
    return Promise.all(Array.from({ length: 20 }, client));
  };
  // As many before they count: a process that has just begun is no measure of one that runs for weeks.
  await all();
  tls?.countAnew();
  const { elapsedMs, cpu } = await measured(all);
  return { ...perUnit(cpu, job.connections, elapsedMs), ...agreedTls() };
}

const outcome = await { saturate, rate: atRate, idle, connect: openAndClose }[job.mode]();
process.stdout.write(JSON.stringify(outcome), () => process.exit(0));
