/** Readings of sensors as JSON, `bytes` long: what compresses well, as most of what is said in JSON does. */
export function telemetryJson(bytes: number, seed: number): Buffer {
  let state = seed + 1;
  // A multiplicative generator (Park and Miller): the same messages in every run.
  const next = (below: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  const readings: object[] = [];
  let text = '';
  for (;;) {
    readings.push({
      sensor: `line-${next(12)}/press-${next(40)}`,
      at: 1_700_000_000_000 + next(1_000_000_000),
      temperature: next(9000) / 100,
      pressure: next(400_000) / 100,
      ok: next(20) !== 0,
    });
    const longer = JSON.stringify({ type: 'readings', readings, pad: '' });
    if (longer.length > bytes) break;
    text = longer;
  }
  const pad = ' '.repeat(Math.max(0, bytes - text.length));
  return Buffer.from(text.replace(/""}$/, `"${pad}"}`));
}
