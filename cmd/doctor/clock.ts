import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { Config, KeySource } from '../../internal/config/config.js';
import { OutboundHttp } from '../../internal/outbound/http.js';
import type { Finding } from './finding.js';

const TIMEOUT_MS = 5000;
/** HTTP dates are cut to seconds, and the answer takes its time. */
const RESOLUTION_MS = 2000;

/** How far this clock is from that of each issuer, by the Date of its answer (RFC 9110 §6.6.1). */
export async function clock({ verification }: Config): Promise<readonly Finding[]> {
  const { keySource, issuers, clockSkewMs, proxies } = verification;
  const http = new OutboundHttp(proxies);
  const all = issuers.length === 0 ? [{ name: '', keySource }] : issuers;
  const asked = all.flatMap(({ name, keySource: source }) => {
    const url = addressOf(source);
    return url === undefined ? [] : [{ name, url }];
  });
  return Promise.all(
    asked.map(async ({ name, url }) => {
      const { state, text } = compared(await dateOf(url, http), clockSkewMs);
      return { about: 'clock', state, text: name === '' ? text : `of ${name}: ${text}` };
    }),
  );
}

/** undefined: nobody is asked for its keys. */
function addressOf(source: KeySource): URL | undefined {
  if (source.kind !== 'jwks' && source.kind !== 'issuer') return undefined;
  const url = new URL(source.kind === 'jwks' ? source.url : source.issuer);
  url.username = '';
  url.password = '';
  return url;
}

/** Milliseconds since the epoch; NaN: it tells no time. */
async function dateOf(url: URL, http: OutboundHttp): Promise<number> {
  const agent = http.agent(url, false);
  const send = url.protocol === 'https:' ? secureRequest : plainRequest;
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      send(url, { agent, signal: AbortSignal.timeout(TIMEOUT_MS) }, resolve)
        .on('error', reject)
        .end();
    });
    // What is destroyed can still fail.
    answer.on('error', () => {}).destroy();
    return Date.parse(answer.headers.date ?? '');
  } catch {
    return Number.NaN;
  } finally {
    agent.destroy();
  }
}

function compared(date: number, clockSkewMs: number): Pick<Finding, 'state' | 'text'> {
  if (Number.isNaN(date)) return { state: 'doubtful', text: 'the issuer told no time to compare with' };
  const awayMs = Math.max(0, Math.abs(Date.now() - date) - RESOLUTION_MS);
  const text = `${(awayMs / 1000).toFixed(0)} s from the issuer's; JWT_CLOCK_SKEW_SECONDS allows ${clockSkewMs / 1000}`;
  return { state: awayMs <= clockSkewMs ? 'good' : 'bad', text };
}
