import type { Problem } from '../problem.js';
import { quote } from '../secrets.js';
import { exportsOtlp } from './assembly.js';
import { DEFAULT_SAMPLER, SAMPLERS, type Values } from './variables.js';

/** A shorter secret can be found by trying, given one of the entries that it protects. */
const MIN_SECRET_CHARS = 16;

/** Settings that are allowed and yet likely to be mistakes. */
export function warnings(values: Values): Problem[] {
  return [...cacheWarnings(values), ...claimWarnings(values), ...tracingWarnings(values)];
}

function cacheWarnings({ JWT_CACHE_STORE: store, CACHE_SECRET: secret }: Values): Problem[] {
  if (store === 'memory') return [];
  if (secret === undefined)
    return [
      {
        name: 'CACHE_SECRET',
        message: `is not set, so each process believes only its own entries of JWT_CACHE_STORE=${store}: by those of others, whoever can write there could log in as anybody`,
      },
    ];
  return secret.length < MIN_SECRET_CHARS
    ? [
        {
          name: 'CACHE_SECRET',
          message: `is shorter than ${MIN_SECRET_CHARS} characters, which can be guessed`,
        },
      ]
    : [];
}

function claimWarnings(values: Values): Problem[] {
  // An issuer of a file is one that is expected.
  const issuerGiven = values.JWT_EXPECTED_ISSUER !== undefined || values.ISSUERS_FILE !== undefined;
  if (issuerGiven || values.JWT_EXPECTED_AUDIENCE !== undefined) return [];
  const keysGiven = values.JWKS_URL !== undefined || values.JWT_PUBLIC_KEY_FILE !== undefined;
  const asked = values.INTROSPECTION_URL !== undefined;
  if (!keysGiven && !asked) return [];
  const accepted = [
    ...(keysGiven ? ['that the key source has signed'] : []),
    ...(asked ? ['that INTROSPECTION_URL calls active'] : []),
  ].join(' or ');
  return [
    {
      name: 'JWT_EXPECTED_AUDIENCE',
      message: `is not set, nor is JWT_EXPECTED_ISSUER: every token ${accepted} is accepted, for whatever service it was made`,
    },
  ];
}

function tracingWarnings(values: Values): Problem[] {
  if (values.OTEL_EXPORTER_OTLP_ENDPOINT === undefined || values.OTEL_SDK_DISABLED) return [];
  const { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_EXPORTER: exporter } = values;
  if (!exportsOtlp(values))
    return exporter === 'none'
      ? []
      : [
          {
            name: 'OTEL_TRACES_EXPORTER',
            message: `${quote(exporter)} is not offered, only otlp: there are no traces`,
          },
        ];
  return SAMPLERS.some((name) => name === sampler)
    ? []
    : [
        {
          name: 'OTEL_TRACES_SAMPLER',
          message: `${quote(sampler)} is not offered: ${DEFAULT_SAMPLER} is used; must be one of ${SAMPLERS.join(', ')}`,
        },
      ];
}
