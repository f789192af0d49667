/**
 * Asymmetric JWS algorithms (RFC 7518 §3.1, RFC 8037) that may be configured. `none` and HS* are left out:
 * with HS*, whoever knows the verification key can sign with it (RFC 8725 §2.1, §3.1).
 */
export const ALGORITHMS = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA'] as const),
] as const;
