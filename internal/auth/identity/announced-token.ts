/**
 * A token among the sub-protocols of a handshake (SPEC section 6): scripts in browsers can set no other
 * header of it.
 */
export interface AnnouncedToken {
  /** Unverified; '' if the text there cannot be a token. */
  readonly token: string;
  /**
   * The sub-protocol name before it, as the client wrote it, which a 101 may select. undefined: it came in
   * Kubernetes' form.
   */
  readonly name: string | undefined;
}

/** The parsed sub-protocols of a client. */
export interface SubprotocolOffer {
  /** Without those that carry a token, which are never selected, offered upstream or logged. */
  readonly subprotocols: readonly string[];
  readonly announced: AnnouncedToken | undefined;
}

/**
 * Kubernetes' `base64url.bearer.authorization.k8s.io.TOKEN`, of whatever domain: the token has
 * no dot once it is encoded.
 */
const ENCODED = /^base64url\.bearer\.authorization\..*\.([\w-]*)$/i;

/** RFC 6750 §2.1 (b64token) and more: visible ASCII. */
const VISIBLE = /^[!-~]+$/;

/**
 * Takes tokens out of the sub-protocols a client offers: the one after one of `names`, and those in
 * Kubernetes' form. The first that can be a token counts, and all are removed. A name with nothing after it
 * is an ordinary sub-protocol.
 * @param names JWT_SUBPROTOCOL_NAMES, lower-case.
 */
export function readOffer(offered: readonly string[], names: readonly string[]): SubprotocolOffer {
  const subprotocols: string[] = [];
  let announced: AnnouncedToken | undefined;
  const announce = (found: AnnouncedToken) => {
    if (announced === undefined || announced.token === '') announced = found;
  };
  for (let at = 0; at < offered.length; at++) {
    const element = offered[at] ?? '';
    const next = offered[at + 1];
    const encoded = ENCODED.exec(element)?.[1];
    if (encoded !== undefined) announce({ token: decoded(encoded), name: undefined });
    else if (next !== undefined && names.includes(element.toLowerCase())) {
      // Of several names in a row the last one counts: what follows it must not be taken for a sub-protocol.
      if (names.includes(next.toLowerCase()) && at + 2 < offered.length) continue;
      announce({ token: next, name: element });
      at++;
    } else subprotocols.push(element);
  }
  return { subprotocols, announced };
}

function decoded(encoded: string): string {
  const token = Buffer.from(encoded, 'base64url').toString('latin1');
  return VISIBLE.test(token) ? token : '';
}
