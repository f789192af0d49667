/**
 * A token among the sub-protocols of a handshake (SPEC section 6): all that a page can say in an opening
 * handshake of its own making, as browsers let it set no header.
 */
export interface AnnouncedToken {
  /** Unverified; '' when what stands there can be no token. */
  readonly token: string;
  /**
   * The name it was announced by, as the client wrote it: a 101 may say it. undefined: it
   * came in Kubernetes' form.
   */
  readonly name: string | undefined;
}

/** What a client offers, taken apart. */
export interface SubprotocolOffer {
  /** Without what carries a token: that is never selected, offered upstream or logged. */
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
 * Takes tokens out of the sub-protocols a client offers: the one behind one of `names`, and those in
 * Kubernetes' form. The first that can be a token counts, and all are taken out. A name with nothing behind
 * it is a sub-protocol like any other.
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
      // Of names in a row the last one announces: whatever is behind it must not pass for a sub-protocol.
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
