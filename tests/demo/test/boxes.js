/** Reads the boxes of an MP4 back, for tests of who writes them. */

/** Boxes that hold boxes, and how many bytes of their own come before those. */
const CONTAINERS = { moov: 0, trak: 0, mdia: 0, minf: 0, stbl: 0, mvex: 0, moof: 0, traf: 0, dinf: 0, stsd: 8, avc1: 78, Opus: 28, dref: 8 };

/** Top-level boxes, each with its children; throws where sizes do not fit. */
export function boxes(bytes) {
  const found = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const size = view.getUint32(at);
    if (size < 8 || at + size > bytes.length) throw new Error(`a box of ${size} bytes at ${at} of ${bytes.length}`);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    found.push(new Box(kind, bytes.subarray(at + 8, at + size)));
    at += size;
  }
  return found;
}

class Box {
  constructor(kind, body) {
    this.kind = kind;
    this.body = body;
    this.children = kind in CONTAINERS ? boxes(body.subarray(CONTAINERS[kind])) : [];
  }

  /** Every box of a kind, at any depth. */
  all(kind) {
    return this.children.flatMap((child) => [...(child.kind === kind ? [child] : []), ...child.all(kind)]);
  }

  one(kind) {
    const found = this.all(kind);
    if (found.length !== 1) throw new Error(`${found.length} ${kind} in ${this.kind}`);
    return found[0];
  }

  u16(at) {
    return new DataView(this.body.buffer, this.body.byteOffset).getUint16(at);
  }

  u32(at) {
    return new DataView(this.body.buffer, this.body.byteOffset).getUint32(at);
  }

  text(at, length) {
    return String.fromCharCode(...this.body.subarray(at, at + length));
  }
}

/** A box's body as numbers of four bytes each. */
export function numbers(box) {
  return Array.from({ length: box.body.length / 4 }, (_, index) => box.u32(index * 4));
}
