import { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import type { Config } from '../../internal/config/config.js';
import { certificatesIn, readCertificate } from '../../internal/config/key-pair.js';
import type { Finding } from './finding.js';

const DAY_MS = 86_400_000;
/** Two weeks: what a renewal that fails leaves to mend it. */
const SOON_DAYS = 14;

/** The listener's certificate: how long it is good, and whether clients can follow it to an authority. */
export async function certificates({ listen: { tls } }: Config): Promise<readonly Finding[]> {
  if (tls === undefined) return [];
  const about = 'certificate';
  const read = readCertificate(tls.certFile);
  if ('fault' in read) return [{ about, state: 'bad', text: `TLS_CERT_FILE ${read.fault}` }];
  const chain = certificatesIn(read.text);
  return [...chain.map((one) => expiry(about, one)), ...chainFindings(about, chain)];
}

function expiry(about: string, certificate: X509Certificate): Finding {
  const days = Math.floor((Date.parse(certificate.validTo) - Date.now()) / DAY_MS);
  const name = certificate.subject.replaceAll('\n', ', ');
  const state = days < 0 ? 'bad' : days < SOON_DAYS ? 'doubtful' : 'good';
  return {
    about,
    state,
    text: `${name}: ${days < 0 ? `expired ${-days} days ago` : `good for ${days} days`}`,
  };
}

/** Each certificate of the file is to be issued by the next one, the last by itself or by a known root. */
function chainFindings(about: string, chain: readonly X509Certificate[]): Finding[] {
  const broken = chain.findIndex((one, at) => {
    const issuer = chain[at + 1];
    return issuer !== undefined && !(one.checkIssued(issuer) && one.verify(issuer.publicKey));
  });
  if (broken >= 0)
    return [
      { about, state: 'bad', text: `certificate ${broken + 2} of the file did not issue the one before it` },
    ];
  const last = chain.at(-1);
  if (last === undefined) return [];
  if (last.checkIssued(last))
    return chain.length === 1
      ? [{ about, state: 'doubtful', text: 'self-signed: clients must be told to trust it' }]
      : [];
  const known = rootCertificates.some((pem) => last.checkIssued(new X509Certificate(pem)));
  return known
    ? []
    : [
        {
          about,
          state: 'doubtful',
          text: 'the chain of the file ends before an authority that is widely known',
        },
      ];
}
