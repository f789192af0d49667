import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { join, sep } from 'node:path';
import type { Readable } from 'node:stream';
import type { FlatHeaders } from '../../request/flat-headers.js';

// Loaded on first use: it takes more than a megabyte of memory, and most processes send no files.
const load = createRequire(import.meta.url);

/** A request for something in a folder; the method is GET or HEAD. */
export interface FileRequest {
  /** Absolute path of the folder. */
  readonly folder: string;
  /** What follows the prefix in the decoded path. */
  readonly rest: string;
  /** The whole of it. */
  readonly path: string;
  /** Whether the route is public, so that shared caches may keep the file. */
  readonly isPublic: boolean;
}

/** The result; the caller answers `redirected` and `refused`. */
export type FileOutcome =
  | { readonly kind: 'sent' }
  | { readonly kind: 'redirected'; readonly location: string }
  /** With 416 the headers tell the length of the file (RFC 9110 §15.5.17). */
  | { readonly kind: 'refused'; readonly status: 404 | 412 | 416; readonly headers: FlatHeaders };

const MISSING: FileOutcome = { kind: 'refused', status: 404, headers: [] };

/**
 * Serves a file with ETag, Last-Modified and ranges (RFC 9110 §13, §14), a folder by its index.html. Not
 * found are names that begin with a dot, links that lead out of the folder, and anything but regular files:
 * opening a named pipe would wait for a writer.
 * @param begin begins the answer: its status and headers.
 */
export async function serveFile(
  request: FileRequest,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  begin: (status: number, headers: FlatHeaders) => void,
): Promise<FileOutcome> {
  const found = await findFile(request);
  if (found === undefined) return MISSING;
  return 'kind' in found ? found : sendFile(found, request, incoming, outgoing, begin);
}

/** What is at a real path. */
interface Found {
  readonly path: string;
  readonly stats: Stats;
}

/** A regular file in the folder. */
async function findFile({ folder, rest, path }: FileRequest): Promise<Found | FileOutcome | undefined> {
  const segments = rest.split('/').filter((segment) => segment !== '');
  if (segments.some((segment) => segment.startsWith('.') || segment.includes('\0'))) return undefined;
  const found = await inside(folder, segments);
  if (found === undefined) return undefined;
  const isFolderPath = path.endsWith('/');
  if (found.stats.isFile()) return isFolderPath ? undefined : found;
  if (!found.stats.isDirectory()) return undefined;
  const index = await inside(folder, [...segments, 'index.html']);
  if (index?.stats.isFile() !== true) return undefined;
  if (isFolderPath) return index;
  // Without the slash, relative links of the page would be wrong. A relative Location cannot lead to another
  // host, and is right behind proxies that rewrite paths.
  return { kind: 'redirected', location: `./${encodeURIComponent(path.slice(path.lastIndexOf('/') + 1))}/` };
}

/** The real path of what is at a path in the folder; undefined: nothing, or it lies outside. */
async function inside(folder: string, segments: readonly string[]): Promise<Found | undefined> {
  try {
    const root = await realpath(folder);
    const path = await realpath(join(root, ...segments));
    const within = root.endsWith(sep) ? root : `${root}${sep}`;
    if (path !== root && !path.startsWith(within)) return undefined;
    return { path, stats: await stat(path) };
  } catch {
    return undefined;
  }
}

/**
 * The library handles ranges, preconditions, types and the stream. It is given a real path that was checked,
 * which may have dots in it where the owner's links lead through such names (Kubernetes mounts `..data`).
 */
function sendFile(
  { path, stats }: Found,
  { isPublic }: FileRequest,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  begin: (status: number, headers: FlatHeaders) => void,
): Promise<FileOutcome> {
  const pathname = path.split(sep).map(encodeURIComponent).join('/');
  const send = load('send') as typeof import('send');
  if (namesTag(incoming) || takesAll(incoming, stats.size)) delete incoming.headers.range;
  const sending = send(incoming, pathname, { dotfiles: 'allow', cacheControl: false, index: false });
  outgoing.setHeader('Cache-Control', isPublic ? 'no-cache' : 'private, no-cache');
  let file: Readable | undefined;
  insteadOfHead(outgoing, begin, () => file?.unpipe(outgoing).destroy());
  return new Promise((resolve) => {
    sending.on('error', (error: { readonly status?: number }) => {
      // Another answer was given meanwhile.
      if (outgoing.writableEnded) return;
      // It broke off in the middle: the answer must not look complete.
      if (outgoing.headersSent) outgoing.destroy();
      else resolve(refusal(error.status, outgoing));
    });
    sending.on('directory', () => resolve(MISSING));
    // The library watches only answers that have a connection; one that waits behind others has none yet.
    sending.on('stream', (opened: Readable) => {
      file = opened;
      if (outgoing.destroyed) opened.destroy();
      else outgoing.once('close', () => opened.destroy());
    });
    outgoing.once('close', () => resolve({ kind: 'sent' }));
    sending.pipe(outgoing);
  });
}

/**
 * RFC 9110 §13.1.5: If-Range needs a strong validator. The library's tags, made of time and size, are weak:
 * with one of those the whole file is sent, with a date (Last-Modified) the range.
 */
function namesTag({ headers }: IncomingMessage): boolean {
  return String(headers['if-range'] ?? '').includes('"');
}

/**
 * RFC 9110 §14.1.2: the last bytes, more of them than there are, are the whole file; the library says 416.
 */
function takesAll({ headers }: IncomingMessage, size: number): boolean {
  const [, last] = /^bytes=-(\d+)$/.exec(headers.range ?? '') ?? [];
  return size > 0 && Number(last) > size;
}

/**
 * Calls `begin` with the head that the library has made, instead of writing it.
 * @param giveUp called when another answer begins instead: the library may still wait for the file's first
 *   bytes, and would write them after that.
 */
function insteadOfHead(
  outgoing: ServerResponse,
  begin: (status: number, headers: FlatHeaders) => void,
  giveUp: () => void,
): void {
  Object.defineProperty(outgoing, 'writeHead', {
    configurable: true,
    value: (status: number, text?: string, lines?: FlatHeaders) => {
      const headers = linesOf(outgoing);
      clear(outgoing);
      Reflect.deleteProperty(outgoing, 'writeHead');
      // The library passes no header lines.
      if (lines === undefined) begin(status, headers);
      else {
        giveUp();
        outgoing.writeHead(status, text, lines);
      }
      return outgoing;
    },
  });
}

function refusal(status: number | undefined, outgoing: ServerResponse): FileOutcome {
  const range = outgoing.getHeader('Content-Range');
  clear(outgoing);
  // From here on `writeHead` is Node's own again, for the caller.
  Reflect.deleteProperty(outgoing, 'writeHead');
  if (status === 412) return { kind: 'refused', status, headers: [] };
  if (status !== 416) return MISSING;
  return { kind: 'refused', status, headers: ['Content-Range', String(range ?? 'bytes */0')] };
}

function linesOf(outgoing: ServerResponse): FlatHeaders {
  return outgoing.getHeaderNames().flatMap((name) => [name, String(outgoing.getHeader(name))]);
}

function clear(outgoing: ServerResponse): void {
  for (const name of outgoing.getHeaderNames()) outgoing.removeHeader(name);
}
