import { readPostgresDsn } from '../../dsn/postgres.js';
import { fromUnknown } from '../../errors.js';
import type { IssuerConfig, ListenConfig, RouteTable } from '../config.js';
import {
  type Pem,
  pairFault,
  readCertificate,
  readPrivateKey,
  readPublicKey,
  readSigningKey,
} from '../key-pair.js';
import type { Problem } from '../problem.js';
import { quote } from '../secrets.js';
import { isUrl } from '../syntax.js';
import { adminAddress } from './assembly.js';
import type { Values } from './variables.js';

/**
 * Problems of variables that are each well-formed: with the files they name, and with combinations.
 * @param issuers those of ISSUERS_FILE; undefined: it cannot be read, which is reported elsewhere.
 */
export function inconsistencies(values: Values, issuers: readonly IssuerConfig[] | undefined): Problem[] {
  return [
    ...adminAddressProblems(values),
    ...tlsProblems(values),
    ...compressionProblems(values),
    ...keySourceProblems(values),
    ...introspectionProblems(values),
    ...rateLimitProblems(values),
    ...activityProblems(values),
    ...backchannelProblems(values, issuers),
    ...postgresProblems(values),
  ];
}

/** One of the two would have no port to bind. */
function adminAddressProblems(values: Values): Problem[] {
  const { HOST: host, PORT: port } = values;
  const own = adminAddress(values);
  if (own === undefined || own.port === 0 || own.port !== port) return [];
  const wide = [host, own.host].find((name) => ANY_ADDRESS.has(name));
  if (wide === undefined) return [];
  return [
    {
      name: 'ADMIN_PORT',
      message: `${port} is not allowed: it is PORT too, which ${wide} takes on every address: must be another port`,
    },
  ];
}

const ANY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

function compressionProblems({ LISTENER: listener, WS_COMPRESSION: compression }: Values): Problem[] {
  if (listener !== 'node' || compression === 'off') return [];
  return [
    {
      name: 'WS_COMPRESSION',
      message: `${quote(compression)} is not allowed beside LISTENER=node, which does not compress: must be off, or LISTENER auto or uws`,
    },
  ];
}

/** HTTP routes need the listener `node` (SPEC section 4a). */
export function listenerProblems(
  { LISTENER: listener, WS_COMPRESSION: compression }: Values,
  { routes }: RouteTable,
): Problem[] {
  const http = routes.find(({ kind }) => kind !== 'websocket');
  if (http === undefined) return [];
  const why = `is not allowed beside the HTTP route ${http.prefix} of the routes file`;
  return [
    ...(listener === 'uws' ? [{ name: 'LISTENER', message: `uws ${why}: must be auto or node` }] : []),
    ...(compression === 'off'
      ? []
      : [{ name: 'WS_COMPRESSION', message: `${quote(compression)} ${why}: must be off` }]),
  ];
}

function tlsProblems({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }: Values): Problem[] {
  if (certFile === undefined && keyFile === undefined) return [];
  if (certFile === undefined) return [{ name: 'TLS_CERT_FILE', message: 'must be set, as TLS_KEY_FILE is' }];
  if (keyFile === undefined) return [{ name: 'TLS_KEY_FILE', message: 'must be set, as TLS_CERT_FILE is' }];
  return keyPairProblems({ certFile, keyFile });
}

/** What is wrong with what the files of TLS_CERT_FILE and TLS_KEY_FILE hold now. */
export function keyPairProblems({ certFile, keyFile }: NonNullable<ListenConfig['tls']>): Problem[] {
  const certificate = readCertificate(certFile);
  const key = readPrivateKey(keyFile);
  if ('fault' in certificate || 'fault' in key) {
    return [
      ...fileProblem('TLS_CERT_FILE', certFile, certificate),
      ...fileProblem('TLS_KEY_FILE', keyFile, key),
    ];
  }
  const wrong = pairFault(certificate.text, key.text);
  if (wrong === undefined) return [];
  return wrong.of === 'certificate'
    ? fileProblem('TLS_CERT_FILE', certFile, wrong)
    : fileProblem('TLS_KEY_FILE', keyFile, wrong);
}

function keySourceProblems(values: Values): Problem[] {
  const file = values.JWT_PUBLIC_KEY_FILE;
  const issuer = values.JWT_EXPECTED_ISSUER;
  if (values.ISSUERS_FILE !== undefined) {
    return (['JWKS_URL', 'JWT_PUBLIC_KEY_FILE', 'JWT_EXPECTED_ISSUER'] as const)
      .filter((name) => values[name] !== undefined)
      .map((name) => ({
        name,
        message: 'is set beside ISSUERS_FILE, which has all of that for each issuer',
      }));
  }
  if (file !== undefined) {
    return [
      ...fileProblem('JWT_PUBLIC_KEY_FILE', file, readPublicKey(file)),
      ...(values.JWKS_URL === undefined
        ? []
        : [{ name: 'JWT_PUBLIC_KEY_FILE', message: 'is set beside JWKS_URL: set only one of them' }]),
    ];
  }
  if (values.JWKS_URL !== undefined || issuer === undefined) return [];
  // OpenID Connect Discovery 1.0 §4: the issuer is the base of the address that is asked for the JWKS.
  return isUrl(issuer, { schemes: ['http', 'https'], credentials: false })
    ? []
    : [
        {
          name: 'JWT_EXPECTED_ISSUER',
          message: `${quote(issuer)} is not allowed: must be an http:// or https:// URL, as the keys are discovered from it (or set JWKS_URL or JWT_PUBLIC_KEY_FILE)`,
        },
      ];
}

const OF_INTROSPECTION = [
  'INTROSPECTION_CLIENT_ID',
  'INTROSPECTION_CLIENT_SECRET',
  'INTROSPECTION_CLIENT_KEY_FILE',
] as const;

function introspectionProblems(values: Values): Problem[] {
  if (values.INTROSPECTION_URL === undefined) {
    const asked = values.INTROSPECTION === 'always' ? (['INTROSPECTION'] as const) : [];
    return [...asked, ...OF_INTROSPECTION.filter((name) => values[name] !== undefined)].map((name) => ({
      name,
      message: 'is set without INTROSPECTION_URL',
    }));
  }
  const problems: Problem[] = [];
  if (values.INTROSPECTION_CLIENT_ID === undefined)
    problems.push({ name: 'INTROSPECTION_CLIENT_ID', message: 'must be set, as INTROSPECTION_URL is' });
  const keyFile = values.INTROSPECTION_CLIENT_KEY_FILE;
  // RFC 7662 §2.1: the client must authenticate, or anybody could try guessed tokens at the endpoint.
  if ((values.INTROSPECTION_CLIENT_SECRET === undefined) === (keyFile === undefined))
    problems.push({
      name: 'INTROSPECTION_CLIENT_SECRET',
      message: 'must be set, or INTROSPECTION_CLIENT_KEY_FILE, and not both, as INTROSPECTION_URL is set',
    });
  return keyFile === undefined
    ? problems
    : [...problems, ...fileProblem('INTROSPECTION_CLIENT_KEY_FILE', keyFile, readSigningKey(keyFile))];
}

function activityProblems(values: Values): Problem[] {
  return values.ACTIVITY_STORE === 'postgres' && values.POSTGRES_DSN === undefined
    ? [{ name: 'ACTIVITY_STORE', message: 'postgres is not allowed without POSTGRES_DSN' }]
    : [];
}

function backchannelProblems(values: Values, issuers: readonly IssuerConfig[] | undefined): Problem[] {
  if (!values.BACKCHANNEL_LOGOUT || values.BACKCHANNEL_CLIENT_ID !== undefined) return [];
  // Back-Channel Logout 1.0 §2.6, step 3: a logout token for another client must not count here.
  if (values.JWT_EXPECTED_AUDIENCE !== undefined) return [];
  const open = issuers?.find(({ audiences }) => audiences.length === 0);
  if (values.ISSUERS_FILE !== undefined && open === undefined) return [];
  const lacking =
    open === undefined
      ? 'JWT_EXPECTED_AUDIENCE is not set'
      : `issuer ${open.name} of ISSUERS_FILE has no audience`;
  return [
    {
      name: 'BACKCHANNEL_CLIENT_ID',
      message: `must be set, as BACKCHANNEL_LOGOUT is on and ${lacking}`,
    },
  ];
}

function postgresProblems({ POSTGRES_DSN: dsn }: Values): Problem[] {
  try {
    if (dsn !== undefined) readPostgresDsn(dsn);
    return [];
  } catch (thrown) {
    return [{ name: 'POSTGRES_DSN', message: fromUnknown(thrown).message }];
  }
}

function rateLimitProblems(values: Values): Problem[] {
  return values.RATE_LIMIT_PER_SECOND > 0 && values.RATE_LIMIT_BURST < 1
    ? [
        {
          name: 'RATE_LIMIT_BURST',
          message: '0 is not allowed: must be 1 or more, or RATE_LIMIT_PER_SECOND 0',
        },
      ]
    : [];
}

function fileProblem(name: string, file: string, pem: Pem): Problem[] {
  return 'fault' in pem ? [{ name, message: `${quote(file)} ${pem.fault}` }] : [];
}
