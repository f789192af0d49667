import { fromUnknown } from '../../errors.js';
import type { Problem } from '../problem.js';
import { type FileText, readTextFile, readTextFileAsync } from '../text-file.js';
import { parseRoutes, type RoutesContext, type RoutesResult } from './routes.js';
import { tableProblems } from './target-table.js';

/**
 * Largest routes file that is read, room for some 2000 routes: the parser's worst input
 * of this size takes seconds.
 */
const MAX_ROUTES_BYTES = 262_144;

/** Where the route table comes from. */
export interface RoutesSource extends RoutesContext {
  readonly file: string;
  /** Whether the operator named the file; the default one may be missing when a backend variable is set. */
  readonly fileGiven: boolean;
}

/** Reads the file and makes the table; also looks at the tables of its targets. */
export function loadRoutes(source: RoutesSource): RoutesResult {
  const result = routesFrom(readTextFile(source.file, MAX_ROUTES_BYTES), source);
  if ('problems' in result) return result;
  const problems = tableProblems(result.table.routes);
  return problems.length > 0 ? { problems } : result;
}

export function readRoutesFile(source: RoutesSource): Promise<FileText> {
  return readTextFileAsync(source.file, MAX_ROUTES_BYTES);
}

/** The table of a file already read, or what is wrong with it; never throws. */
export function routesFrom(read: FileText, source: RoutesSource): RoutesResult {
  if ('text' in read) return parsed(read.text, source);
  if (read.missing && !source.fileGiven && source.backendGiven) return parsed('', source);
  return { problems: [fileProblem(read.fault, source)] };
}

/**
 * Files that it names may fail in unexpected ways: that is one more problem of the file, and must not end the
 * process.
 */
function parsed(text: string, source: RoutesSource): RoutesResult {
  try {
    return parseRoutes(text, source.file, source);
  } catch (thrown) {
    return { problems: [fileProblem(`cannot be read: ${fromUnknown(thrown).message}`, source)] };
  }
}

function fileProblem(fault: string, { file, fileGiven }: RoutesSource): Problem {
  return {
    name: file,
    message: fileGiven
      ? `${fault} (the routes file that ROUTE_FILE or --route-file names)`
      : `${fault} (ROUTE_FILE or --route-file names another routes file)`,
  };
}
