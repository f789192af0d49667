/** oidc-provider calls it; the first versions of Node.js 20 do not have it. null: it is no URL. */
function parse(input: string | URL, base?: string | URL): URL | null {
  return URL.canParse(String(input), base === undefined ? undefined : String(base))
    ? new URL(input, base)
    : null;
}

/** From now on there is `URL.parse`. */
export function haveUrlParse(): void {
  if (!('parse' in URL)) Object.defineProperty(URL, 'parse', { value: parse, configurable: true });
}
