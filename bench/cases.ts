import type { Job } from './load.js';

/** What a case is about; latency is measured where messages flow. */
export interface Case {
  readonly name: string;
  readonly job: Pick<Job, 'mode' | 'connections' | 'inflight' | 'payloadBytes'>;
  /** Whether each connection brings a token that no one has brought before. */
  readonly freshTokens: boolean;
}

function messages(name: string, payloadBytes: number, connections: number, inflight: number): Case {
  return { name, freshTokens: false, job: { mode: 'saturate', connections, inflight, payloadBytes } };
}

function connects(name: string, freshTokens: boolean, connections: number): Case {
  return { name, freshTokens, job: { mode: 'connect', connections, inflight: 0, payloadBytes: 0 } };
}

/** @param quick a tenth of the connections where their number only serves precision. */
export function cases(quick: boolean): readonly Case[] {
  const many = quick ? 200 : 2000;
  return [
    // First, in processes that have done nothing yet.
    {
      name: 'idle sessions',
      freshTokens: false,
      job: { mode: 'idle', connections: many, inflight: 0, payloadBytes: 0 },
    },
    messages('64 B, 100 connections', 64, 100, 1),
    messages('64 B, 1000 connections', 64, 1000, 1),
    messages('64 B, 100 connections, 16 in flight', 64, 100, 16),
    messages('1 KB, 100 connections', 1024, 100, 1),
    messages('16 KB, 50 connections', 16_384, 50, 1),
    connects('new connections, tokens seen before', false, many),
    connects('new connections, new tokens', true, many),
  ];
}
