import { CertificateWatch } from '../config/certificate-watch.js';
import { problemLine } from '../config/problem.js';
import { fromUnknown } from '../errors.js';
import { closeBanned } from '../session/closing/banned-sessions.js';
import { closeLapsed } from '../session/closing/lapsed-sessions.js';
import { closeRevoked } from '../session/closing/revoked-sessions.js';
import type { Parts } from './build.js';
import { showCertificateExpiry } from './certificate-expiry.js';
import { takeSettings } from './settings-in-effect.js';

/** Subscribes the parts to each other: to revocations, bans, scrapes, and messages of other workers. */
export function connect({
  metrics,
  sessions,
  exchanges,
  keys,
  revocations,
  bans,
  accessLog,
  limits,
  drains,
  upstreams,
  cache,
  routes,
  localOperations,
  siblings,
}: Parts): void {
  metrics.beforeScrape(() => {
    metrics.process.unready.set({ reason: 'draining' }, sessions.draining ? 1 : 0);
    metrics.process.unready.set({ reason: 'no_keys' }, keys.ready ? 0 : 1);
    metrics.auth.revocationsUnsent.set(revocations.unsent);
    metrics.auth.bansUnsent.set(bans.unsent);
  });
  revocations.onRevoked((revocation) => {
    cache.forget(revocation);
    const ended = closeRevoked(sessions, revocation) + exchanges.revoked(revocation);
    siblings?.revoked(revocation, ended);
  });
  revocations.onLifted((lift) => siblings?.lifted(lift));
  bans.onBanned((sub) => {
    closeBanned(sessions, sub);
    exchanges.banned(sub);
  });
  bans.records.onChange((record) => siblings?.recordChanged('bans', record));
  limits.records.onChange((record) => siblings?.recordChanged('rateLimits', record));
  drains.records.onChange((record) => siblings?.recordChanged('drains', record));
  drains.onChange((name, close) => {
    const there = upstreams.setDrained(name, drains.has(name));
    if (close) routes.endTenants(there);
  });
  siblings?.introduce({
    metrics,
    revocations,
    records: { bans: bans.records, rateLimits: limits.records, drains: drains.records },
    operations: localOperations,
    takeSettings: (change) => takeSettings(change, { accessLog, limits }),
    applyTable: (changed) => routes.apply(changed),
  });
}

/** Has tokens of live sessions and exchanges introspected again, and ends those whose token is not active. */
export function askAboutLiveTokens({ provider, sessions, exchanges }: Parts): void {
  provider?.start(
    function* identities() {
      for (const { identity } of sessions) yield identity;
      for (const { identity } of exchanges) yield identity;
    },
    (identity, why) => {
      closeLapsed(sessions, identity, why === 'inactive' ? 'tokenRevoked' : 'authUnavailable');
      exchanges.lapsed(identity, why === 'inactive' ? 'revoked' : 'unverifiable');
    },
  );
}

/** Watches the files of the certificate and tells the listener of changes; undefined: no TLS. */
export function watchCertificate({
  config,
  listener,
  adminListener,
  log,
  metrics,
}: Parts): CertificateWatch | undefined {
  const files = config.listen.tls;
  if (files === undefined) return undefined;
  showCertificateExpiry(files.certFile, metrics, log);
  return new CertificateWatch({
    files,
    onChange: () =>
      listener
        .renewCertificate()
        .then(() => {
          adminListener?.renewCertificate();
          log.info('certificate renewed');
          showCertificateExpiry(files.certFile, metrics, log);
        })
        .catch((thrown: unknown) => log.error({ err: fromUnknown(thrown) }, 'certificate not renewed')),
    onProblems: (problems) =>
      log.error({ problems: problems.map(problemLine) }, 'certificate not renewed: the one in effect stays'),
  });
}
