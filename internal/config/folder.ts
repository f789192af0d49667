import { statSync } from 'node:fs';
import { faultOf } from './text-file.js';

/** Why a path is no folder, worded to follow the path; undefined: it is one. */
export function folderFault(path: string): string | undefined {
  try {
    return statSync(path).isDirectory() ? undefined : 'is no folder';
  } catch (error) {
    const { fault, missing } = faultOf(error);
    return missing ? 'is no folder' : fault;
  }
}
