import { createSecureContext, type SecureContext } from 'node:tls';
import type { RouteTls } from '../../config/config.js';

/**
 * TLS contexts of upstreams: making one costs more than a handshake, so each TLS setting
 * has one for all its dials.
 */
export class TlsContexts {
  readonly #contexts = new WeakMap<RouteTls, SecureContext>();
  #plain: SecureContext | undefined;

  /**
   * @param tls undefined: the certificate authorities Node.js trusts and no client certificate.
   * @throws what OpenSSL says of a bad certificate or key.
   */
  of(tls: RouteTls | undefined): SecureContext {
    if (tls === undefined) {
      this.#plain ??= createSecureContext();
      return this.#plain;
    }
    const known = this.#contexts.get(tls);
    if (known !== undefined) return known;
    const { ca, cert, key } = tls;
    const context = createSecureContext({ ca, cert, key });
    this.#contexts.set(tls, context);
    return context;
  }
}
