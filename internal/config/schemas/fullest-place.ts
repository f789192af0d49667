import { isMapping } from '../mapping.js';
import { ONE_SCHEMA, SCHEMA_LISTS, SCHEMA_MAPS } from './walk.js';

interface Place {
  readonly path: readonly PropertyKey[];
  /** Schemas that stand there side by side. */
  readonly entries: number;
}

/** Of all mappings and lists of schemas in a schema, that of the most entries. */
export function fullestPlace(schema: unknown, path: readonly PropertyKey[] = []): Place {
  let fullest: Place = { path, entries: 0 };
  const consider = (place: Place) => {
    if (place.entries > fullest.entries) fullest = place;
  };
  if (!isMapping(schema)) return fullest;
  for (const [keyword, value] of Object.entries(schema)) {
    const place = [...path, keyword];
    if (ONE_SCHEMA.has(keyword)) consider(fullestPlace(value, place));
    const entries =
      SCHEMA_LISTS.has(keyword) && Array.isArray(value)
        ? [...value.entries()]
        : SCHEMA_MAPS.has(keyword) && isMapping(value)
          ? Object.entries(value)
          : [];
    consider({ path: place, entries: entries.length });
    for (const [name, entry] of entries) consider(fullestPlace(entry, [...place, name]));
  }
  return fullest;
}
