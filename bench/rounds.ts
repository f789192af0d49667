import { type Certificate, makeCertificate } from '../test/support/certificate.js';
import type { Issuer } from '../test/support/servers/issuer.js';
import type { Case, Group } from './cases.js';
import { type CrowdProgram, isForCrowd } from './crowd-program.js';
import type { Job, Outcome } from './job.js';
import type { Placement } from './machine.js';
import { type Echo, runLoad, startEcho, writePublicKey, writeTokens } from './programs.js';
import { type Measured, medians } from './report.js';
import { startTarget, type Target } from './targets.js';

export interface RoundsOptions {
  readonly rounds: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  readonly directory: string;
  readonly issuer: Issuer;
  readonly placement: Placement;
  /** Starts the load generator and echo in C. */
  readonly startCrowd: () => Promise<CrowdProgram>;
}

/** Latency is compared at this share of what nginx manages. */
const RATE_SHARE = 0.2;
/**
 * Of messages, a round is as many short turns of each target. What else the machine does takes milliseconds
 * now and then, which would decide the p99 of a long turn, and are in few of many short ones; and other
 * virtual machines slow it down for seconds, which would be one target's alone.
 */
const TURNS = 5;
const SHARED_TOKENS = 100;

/** A group's proxies, up while its cases run. */
interface Running {
  readonly targets: Target[];
  readonly certificate: Certificate | undefined;
  /** Who makes the load, where it can; else load.ts does. */
  readonly crowd: CrowdProgram | undefined;
  /** A new process in the place of a target's. */
  restart(target: Target): Promise<Target>;
}

/** All cases of a group, with its proxies and its upstream started for them and ended behind them. */
export async function runGroup(group: Group, options: RoundsOptions): Promise<Measured[]> {
  const { directory, issuer, placement } = options;
  const { echoCpu } = placement;
  const crowd = group.upstream === 'crowd' ? await options.startCrowd() : undefined;
  const upstream: CrowdProgram | Echo = crowd ?? (await startEcho(echoCpu));
  const certificate = group.tls ? await makeCertificate('127.0.0.1') : undefined;
  const surroundings = {
    directory,
    upstreamPorts: [upstream.port] as const,
    jwksUrl: issuer.jwksUrl,
    publicKeyFile: await writePublicKey(issuer, directory),
    certificate,
    cpu: placement.proxyCpu,
  };
  const targets: Target[] = [];
  try {
    for (const spec of group.targets) {
      const target = await startTarget(spec, surroundings).catch((error: Error) => error);
      // Not every machine has a build of uWebSockets.js that may be used.
      if (target instanceof Error) console.error(`${group.name}: left out: ${target.message}`);
      else targets.push(target);
    }
    const restart = async (target: Target): Promise<Target> => {
      await target.stop();
      return await startTarget(target, surroundings);
    };
    const running = { targets, certificate, crowd, restart };
    const results: Measured[] = [];
    for (const one of group.cases) results.push(...(await runCase(one, running, options)));
    return results;
  } finally {
    await Promise.all(targets.map((target) => target.stop()));
    await Promise.all([upstream.stop(), certificate?.remove()]);
  }
}

/** One case: rounds in which every target has its turn, each round beginning with another one. */
async function runCase(one: Case, running: Running, options: RoundsOptions): Promise<Measured[]> {
  const { targets } = running;
  const { rounds, warmupMs, durationMs, issuer, directory } = options;
  const results = targets.map(({ name }) => ({ case: one.name, target: name, rounds: [] as Outcome[] }));
  const { freshTokens = false, resumes = false } = one;
  // As many connections again, before those that count.
  const freshPerRound = 2 * one.job.connections;
  const count = freshTokens ? freshPerRound * rounds : SHARED_TOKENS;
  const tokenFile = await writeTokens(issuer, directory, count);
  const certFile = running.certificate?.certFile;
  const base = {
    ...one.job,
    path: '/echo',
    perSecond: 0,
    warmupMs,
    durationMs,
    ...(certFile === undefined ? {} : { tls: { certFile, resumes } }),
  };
  const eachTurn = async (job: typeof base & Pick<Job, 'mode'>, times: number): Promise<void> => {
    for (let round = 0; round < times; round++) {
      for (let turn = 0; turn < targets.length; turn++) {
        const index = (round + turn) % targets.length;
        const [target, result] = [targets[index], results[index]];
        if (target === undefined || result === undefined) continue;
        if (target.pids.length === 0 && (job.mode === 'idle' || job.mode === 'connect')) continue;
        console.error(`${one.name}: ${job.mode} ${target.name}, round ${round + 1} of ${times}`);
        const whole: Job = {
          ...job,
          port: target.port,
          firstToken: round * (freshTokens ? freshPerRound : 0),
          pids: target.pids,
          // A broker is told no password that it would not ask for.
          ...(job.speech === 'publish' && target.proxy !== 'gateway' ? {} : { tokenFile }),
        };
        const { crowd } = running;
        const outcome =
          crowd !== undefined && isForCrowd(whole)
            ? await crowd.run(whole)
            : await runLoad(whole, options.placement.loadCpu);
        // CPU time and messages/s are those of a proxy under full load.
        const { p50Micros = Number.NaN, p99Micros = Number.NaN } = outcome;
        result.rounds.push(job.mode === 'rate' ? { p50Micros, p99Micros } : outcome);
        // Memory once used is used again: the next round counts in a new process.
        if (job.mode === 'idle') targets[index] = await running.restart(target);
      }
    }
  };
  if (one.job.mode !== 'saturate') await eachTurn(base, rounds);
  else {
    const short = { ...base, warmupMs: warmupMs / 2, durationMs: durationMs / TURNS };
    await eachTurn(short, rounds * TURNS);
    const nginx = results.find(({ target }) => target === 'nginx') ?? results[0];
    const perSecond = RATE_SHARE * (medians(nginx?.rounds ?? []).messagesPerSecond ?? 0);
    await eachTurn({ ...short, mode: 'rate', perSecond }, rounds * TURNS);
  }
  assertSameTls(one.name, results);
  return results;
}

/**
 * @throws Error where two proxies did not agree with clients on the same protocol, cipher suite and curve.
 */
function assertSameTls(name: string, results: readonly Measured[]): void {
  const agreed = new Set(results.flatMap(({ rounds }) => rounds.flatMap(({ tls }) => tls ?? [])));
  if (agreed.size > 1) throw new Error(`${name}: not the same TLS everywhere: ${[...agreed].join(', ')}`);
}
