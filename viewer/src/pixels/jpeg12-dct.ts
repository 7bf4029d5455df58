/** The inverse DCT of JPEG (T.81 A.3.3), in floating point, separable. */

/** Natural position of the k-th coefficient in zigzag order (T.81 figure A.6). */
export const ZIGZAG = zigzag();

function zigzag(): Uint8Array {
  const order: number[] = [];
  for (let diagonal = 0; diagonal < 15; diagonal++) {
    const cells = Array.from({ length: 8 }, (_, x) => [x, diagonal - x] as const).filter(([, y]) => y >= 0 && y < 8);
    // Odd diagonals run down to the left, even ones up to the right.
    if (diagonal % 2) cells.reverse();
    order.push(...cells.map(([x, y]) => y * 8 + x));
  }
  return Uint8Array.from(order);
}

const COSINES = Float64Array.from({ length: 64 }, (_, i) => {
  const [x, u] = [i >> 3, i & 7];
  return (u === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * x + 1) * u * Math.PI) / 16);
});

const half = new Float64Array(64);

/** Writes 8x8 samples of `precision` bits at `at` in `plane`. */
export function inverseDct(block: Int32Array, plane: Uint16Array, at: number, stride: number, precision: number): void {
  const middle = 2 ** (precision - 1);
  const most = 2 ** precision - 1;
  for (let v = 0; v < 8; v++) {
    for (let x = 0; x < 8; x++) {
      let sum = 0;
      for (let u = 0; u < 8; u++) sum += COSINES[x * 8 + u]! * block[v * 8 + u]!;
      half[v * 8 + x] = sum;
    }
  }
  for (let y = 0; y < 8; y++) {
    for (let x = 0; x < 8; x++) {
      let sum = 0;
      for (let v = 0; v < 8; v++) sum += COSINES[y * 8 + v]! * half[v * 8 + x]!;
      plane[at + y * stride + x] = Math.min(most, Math.max(0, Math.round(sum + middle)));
    }
  }
}
