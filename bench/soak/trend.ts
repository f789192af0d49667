/** A straight line through measurements. */
export interface Trend {
  readonly perHour: number;
  /** What it comes to from the first measurement to the last. */
  readonly growth: number;
}

interface Point {
  readonly seconds: number;
  readonly value: number;
}

/**
 * The median of the slopes between all pairs of points (Theil–Sen): a garbage collection or a fault that
 * shows in a few points does not tilt it.
 */
export function trendOf(points: readonly Point[]): Trend {
  const slopes: number[] = [];
  for (const [index, a] of points.entries()) {
    for (const b of points.slice(index + 1)) slopes.push((b.value - a.value) / (b.seconds - a.seconds));
  }
  slopes.sort((a, b) => a - b);
  const slope = slopes[slopes.length >> 1] ?? 0;
  const spanSeconds = (points.at(-1)?.seconds ?? 0) - (points[0]?.seconds ?? 0);
  return { perHour: slope * 3600, growth: slope * spanSeconds };
}

/** The lowest of every `size` points in a row: what is left of a heap when its garbage has been collected. */
export function floorOf(points: readonly Point[], size: number): Point[] {
  const floors: Point[] = [];
  for (let at = 0; at < points.length; at += size) {
    const some = points.slice(at, at + size);
    floors.push(some.reduce((lowest, point) => (point.value < lowest.value ? point : lowest)));
  }
  return floors;
}

/** Lines of a curve. */
const ROWS = 10;

/** Values over time as lines of text, the highest at the top. */
export function curve(values: readonly number[], label: (value: number) => string): string {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const step = (high - low) / ROWS || 1;
  const width = Math.min(100, values.length);
  const columns = Array.from({ length: width }, (_, column) => {
    const some = values.slice(
      Math.floor((column * values.length) / width),
      Math.floor(((column + 1) * values.length) / width),
    );
    return some.reduce((sum, value) => sum + value, 0) / some.length;
  });
  const lines = Array.from({ length: ROWS }, (_, row) => {
    const from = high - (row + 1) * step;
    const marks = columns.map((value) => (value >= from && (value < from + step || row === 0) ? '*' : ' '));
    return `${label(from + step / 2).padStart(10)} |${marks.join('')}`;
  });
  return lines.join('\n');
}
