/** JPEG Extended with 12 bit samples (ITU-T T.81, sequential DCT, Huffman): the wasm decoder knows 8 bit only.
 *
 * Components keep their own colour space; DICOM has none with 12 bit colour in practice.
 */
import { PageError } from "../lib/errors.ts";
import { inverseDct, ZIGZAG } from "./jpeg12-dct.ts";

interface Component {
  readonly id: number;
  readonly h: number;
  readonly v: number;
  readonly table: number;
  /** Blocks in a row and in a column, filled up to whole MCUs. */
  width: number;
  height: number;
  plane: Uint16Array;
  dc: Huffman;
  ac: Huffman;
  previous: number;
}

interface State {
  precision: number;
  rows: number;
  columns: number;
  restartEvery: number;
  components: Component[];
  readonly quantization: Uint16Array[];
  readonly dc: Huffman[];
  readonly ac: Huffman[];
}

export function decodeJpeg12(encoded: Uint8Array) {
  const state: State = {
    precision: 0,
    rows: 0,
    columns: 0,
    restartEvery: 0,
    components: [],
    quantization: [],
    dc: [],
    ac: [],
  };
  let at = 2; // behind SOI
  while (at + 4 <= encoded.length) {
    if (encoded[at] !== 0xff) throw fault("marker expected");
    const marker = encoded[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    if (marker === 0xd9) break;
    const end = at + 2 + ((encoded[at + 2]! << 8) | encoded[at + 3]!);
    const body = encoded.subarray(at + 4, end);
    at = marker === 0xda ? readScan(state, body, encoded, end) : readSegment(state, marker, body, end);
  }
  return output(state);
}

function readSegment(state: State, marker: number, body: Uint8Array, end: number): number {
  if (marker === 0xdb) readQuantization(state, body);
  else if (marker === 0xc4) readHuffman(state, body);
  else if (marker === 0xdd) state.restartEvery = (body[0]! << 8) | body[1]!;
  else if (marker === 0xc0 || marker === 0xc1) readFrame(state, body);
  else if (marker >= 0xc2 && marker <= 0xcf && marker !== 0xc8 && marker !== 0xcc) throw fault("not sequential");
  return end;
}

function readQuantization(state: State, body: Uint8Array): void {
  for (let at = 0; at < body.length;) {
    const head = body[at++]!;
    const wide = head >> 4;
    const table = new Uint16Array(64);
    for (let i = 0; i < 64; i++) {
      table[ZIGZAG[i]!] = wide ? (body[at]! << 8) | body[at + 1]! : body[at]!;
      at += wide ? 2 : 1;
    }
    state.quantization[head & 15] = table;
  }
}

function readHuffman(state: State, body: Uint8Array): void {
  for (let at = 0; at + 17 <= body.length;) {
    const head = body[at]!;
    const counts = body.subarray(at + 1, at + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const table = new Huffman(counts, body.subarray(at + 17, at + 17 + total));
    (head >> 4 ? state.ac : state.dc)[head & 15] = table;
    at += 17 + total;
  }
}

function readFrame(state: State, body: Uint8Array): void {
  state.precision = body[0]!;
  state.rows = (body[1]! << 8) | body[2]!;
  state.columns = (body[3]! << 8) | body[4]!;
  if (state.rows * state.columns === 0 || state.rows * state.columns > 1 << 26) throw fault("size");
  const none = new Huffman(new Uint8Array(16), new Uint8Array(0));
  state.components = Array.from({ length: body[5]! }, (_, i) => {
    const [id = 0, sampling = 0x11, table = 0] = body.subarray(6 + i * 3, 9 + i * 3);
    const [h, v] = [sampling >> 4 || 1, sampling & 15 || 1];
    return { id, h, v, table, width: 0, height: 0, plane: new Uint16Array(0), dc: none, ac: none, previous: 0 };
  });
  const [across, down] = mcus(state);
  for (const component of state.components) {
    component.width = across * component.h;
    component.height = down * component.v;
    component.plane = new Uint16Array(component.width * component.height * 64);
  }
}

function largest(state: State): [h: number, v: number] {
  return [Math.max(...state.components.map((c) => c.h)), Math.max(...state.components.map((c) => c.v))];
}

function mcus(state: State): [across: number, down: number] {
  const [h, v] = largest(state);
  return [Math.ceil(state.columns / (8 * h)), Math.ceil(state.rows / (8 * v))];
}

/** Decodes the entropy-coded data from `start`; returns where the next marker is. */
function readScan(state: State, body: Uint8Array, encoded: Uint8Array, start: number): number {
  const scan = Array.from({ length: body[0]! }, (_, i) => {
    const component = state.components.find((c) => c.id === body[1 + i * 2]);
    const tables = body[2 + i * 2]!;
    const [dc, ac] = [state.dc[tables >> 4], state.ac[tables & 15]];
    if (!component || !dc || !ac) throw fault("scan without its tables");
    component.dc = dc;
    component.ac = ac;
    return component;
  });
  const bits = new Bits(encoded, start);
  const single = scan.length === 1 ? scan[0] : undefined;
  const [h, v] = largest(state);
  // A scan of one component has no MCUs: only the blocks that hold picture.
  const across = single ? Math.ceil((state.columns * single.h) / (8 * h)) : mcus(state)[0];
  const down = single ? Math.ceil((state.rows * single.v) / (8 * v)) : mcus(state)[1];
  for (let mcu = 0; mcu < across * down; mcu++) {
    if (mcu === 0 || (state.restartEvery && mcu % state.restartEvery === 0)) restart(scan, bits, mcu > 0);
    const [x, y] = [mcu % across, Math.floor(mcu / across)];
    if (single) readBlock(state, single, bits, x, y);
    else for (const component of scan) readMcu(state, component, bits, x, y);
  }
  return bits.nextMarker();
}

function restart(scan: Component[], bits: Bits, marked: boolean): void {
  if (marked) bits.skipRestart();
  for (const component of scan) component.previous = 0;
}

function readMcu(state: State, component: Component, bits: Bits, x: number, y: number): void {
  for (let v = 0; v < component.v; v++) {
    for (let h = 0; h < component.h; h++) {
      readBlock(state, component, bits, x * component.h + h, y * component.v + v);
    }
  }
}

const block = new Int32Array(64);

function readBlock(state: State, component: Component, bits: Bits, x: number, y: number): void {
  const scale = state.quantization[component.table];
  if (!scale) throw fault("no quantization table");
  block.fill(0);
  component.previous += bits.receive(component.dc.read(bits));
  block[0] = component.previous * scale[0]!;
  for (let k = 1; k < 64; k++) {
    const symbol = component.ac.read(bits);
    const size = symbol & 15;
    if (size === 0 && symbol !== 0xf0) break;
    k += symbol >> 4;
    const position = ZIGZAG[k];
    if (size && position !== undefined) block[position] = bits.receive(size) * scale[position]!;
  }
  const stride = component.width * 8;
  inverseDct(block, component.plane, y * 8 * stride + x * 8, stride, state.precision);
}

/** Pixel by pixel; a component with fewer samples is repeated. */
function output(state: State) {
  const { rows, columns, components } = state;
  if (components.length === 0) throw fault("no frame");
  const values = new Uint16Array(rows * columns * components.length);
  const [h, v] = largest(state);
  components.forEach((component, c) => {
    const stride = component.width * 8;
    for (let y = 0, to = c; y < rows; y++) {
      const row = Math.floor((y * component.v) / v) * stride;
      for (let x = 0; x < columns; x++, to += components.length) {
        values[to] = component.plane[row + Math.floor((x * component.h) / h)]!;
      }
    }
  });
  return { columns, rows, components: components.length, values };
}

class Bits {
  private readonly bytes: Uint8Array;
  private at: number;
  private held = 0;
  private count = 0;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  bit(): number {
    if (this.count === 0) this.fill();
    this.count--;
    return (this.held >> this.count) & 1;
  }

  private fill(): void {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw fault("ends too early");
    this.held = byte;
    this.count = 8;
    if (byte !== 0xff) this.at++;
    else if (this.bytes[this.at + 1] === 0) this.at += 2;
    else this.held = 0; // a marker: zeros until the scan is full, as T.81 F.2.2.5 leaves open
  }

  /** EXTEND(RECEIVE(size)), T.81 F.2.2.1. */
  receive(size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value = (value << 1) | this.bit();
    return size && value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
  }

  skipRestart(): void {
    this.at = this.nextMarker();
    if ((this.bytes[this.at + 1]! & 0xf8) === 0xd0) this.at += 2;
  }

  nextMarker(): number {
    this.count = 0;
    let at = this.at;
    while (at < this.bytes.length && !(this.bytes[at] === 0xff && this.bytes[at + 1] !== 0)) at++;
    return at;
  }
}

/** T.81 F.2.2.3, by code length. */
class Huffman {
  private readonly values: Uint8Array;
  private readonly largest: number[] = [];
  private readonly offset: number[] = [];

  constructor(counts: Uint8Array, values: Uint8Array) {
    this.values = values;
    let code = 0;
    let index = 0;
    for (const count of counts) {
      this.offset.push(index - code);
      index += count;
      code += count;
      this.largest.push(count ? code - 1 : -1);
      code <<= 1;
    }
  }

  read(bits: Bits): number {
    let code = 0;
    for (let length = 0; length < 16; length++) {
      code = (code << 1) | bits.bit();
      if (code <= this.largest[length]!) return this.values[this.offset[length]! + code]!;
    }
    throw fault("unknown Huffman code");
  }
}

function fault(detail: string): PageError {
  return new PageError("cannot_draw", `JPEG 12 bit: ${detail}`);
}
