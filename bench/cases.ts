import type { Job } from './job.js';
import type { TargetSpec } from './targets.js';

/** What a case is about; latency is measured where messages flow. */
export interface Case {
  readonly name: string;
  readonly job: Pick<Job, 'mode' | 'speech' | 'connections' | 'inflight' | 'payloadBytes'>;
  /** Whether each connection brings a token that no one has brought before. */
  readonly freshTokens?: boolean;
  /** Over TLS: whether connections take up the session of an earlier one. */
  readonly resumes?: boolean;
}

/** Cases that run against the same proxies with the same upstream behind them. */
export interface Group {
  readonly name: string;
  /** crowd: load and echo are native/crowd.c. */
  readonly upstream: 'echo' | 'crowd';
  /** Whether clients come with TLS; what is behind the proxies is always plain. */
  readonly tls: boolean;
  readonly targets: readonly TargetSpec[];
  readonly cases: readonly Case[];
}

const DIRECT = { name: 'direct', proxy: 'direct' } as const;
const NGINX = { name: 'nginx', proxy: 'nginx' } as const;
const HAPROXY = { name: 'haproxy', proxy: 'haproxy' } as const;
/** Verifies the token of every connection, as the gateway does with those it has not seen. */
const HAPROXY_JWT = { name: 'haproxy, jwt_verify', proxy: 'haproxy', verifies: true } as const;
/** No proxy to use: see bare-forwarder.ts. */
const BARE = { name: 'bare', proxy: 'bare' } as const;
const GATEWAY = { name: 'gateway', proxy: 'gateway' } as const;
const GATEWAY_UWS = { name: 'gateway, uws', proxy: 'gateway', env: { LISTENER: 'uws' } } as const;

/** @param quick a tenth of the connections where their number only serves precision. */
export function groups(quick: boolean): readonly Group[] {
  const many = quick ? 200 : 2000;
  const plain = { upstream: 'crowd', tls: false } as const;
  return [
    {
      ...plain,
      name: 'WebSocket',
      targets: [DIRECT, NGINX, HAPROXY, BARE, GATEWAY, GATEWAY_UWS],
      cases: [
        // First, in processes that have done nothing yet.
        { name: 'idle sessions', job: job('idle', many) },
        messages('64 B, 100 connections', 64, 100, 1),
        messages('64 B, 1000 connections', 64, 1000, 1),
        messages('64 B, 100 connections, 16 in flight', 64, 100, 16),
        messages('1 KB, 100 connections', 1024, 100, 1),
        messages('16 KB, 50 connections', 16_384, 50, 1),
      ],
    },
    {
      ...plain,
      name: 'connections',
      targets: [NGINX, HAPROXY, HAPROXY_JWT, BARE, GATEWAY, GATEWAY_UWS],
      cases: [
        { name: 'new connections, tokens seen before', job: job('connect', many) },
        { name: 'new connections, new tokens', job: job('connect', many), freshTokens: true },
      ],
    },
    {
      name: 'MQTT',
      ...plain,
      targets: [NGINX, HAPROXY, BARE, GATEWAY, GATEWAY_UWS],
      cases: [
        {
          name: 'MQTT: QoS 0 publish, 64 B, 500 clients to one broker',
          job: { mode: 'saturate', speech: 'publish', connections: 500, inflight: 1, payloadBytes: 64 },
        },
      ],
    },
    {
      name: 'TLS',
      upstream: 'echo',
      tls: true,
      targets: [NGINX, HAPROXY, GATEWAY],
      cases: [
        messages('TLS: 64 B, 100 connections', 64, 100, 1),
        messages('TLS: 16 KB, 50 connections', 16_384, 50, 1),
        { name: 'TLS: new connections, full handshake', job: job('connect', many) },
        { name: 'TLS: new connections, resumed session', job: job('connect', many), resumes: true },
      ],
    },
    {
      tls: false,
      upstream: 'echo',
      name: 'compression',
      targets: [
        // These two pass on what clients and echo agreed on; the gateway compresses itself, towards clients.
        NGINX,
        HAPROXY,
        { ...GATEWAY, name: 'gateway, off' },
        { ...GATEWAY, name: 'gateway, shared', env: { WS_COMPRESSION: 'shared' } },
        { ...GATEWAY, name: 'gateway, dedicated', env: { WS_COMPRESSION: 'dedicated' } },
      ],
      cases: [
        {
          name: 'permessage-deflate offered: 1 KB of JSON, 100 connections',
          job: { mode: 'saturate', speech: 'deflate', connections: 100, inflight: 1, payloadBytes: 1024 },
        },
      ],
    },
  ];
}

function messages(name: string, payloadBytes: number, connections: number, inflight: number): Case {
  return { name, job: { mode: 'saturate', speech: 'plain', connections, inflight, payloadBytes } };
}

function job(mode: 'idle' | 'connect', connections: number): Case['job'] {
  return { mode, speech: 'plain', connections, inflight: 0, payloadBytes: 0 };
}
