/** A view costs more to make than a short row to write: views of the buffers in use are kept. */
const targetViews = new WeakMap<Buffer, DataView>();
const NOTHING: Buffer = Buffer.alloc(0);
let lastTarget: Buffer = NOTHING;
let lastTargetView = makeView(NOTHING);
let lastSource: Buffer = NOTHING;
let lastSourceView = lastTargetView;
/** Larger buffers would be held for the sake of their view (I9), which is little beside what is done with them. */
const MOST_KEPT_BYTES = 1024 * 1024;

function makeView(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The view of a buffer that is written to again and again. */
export function targetView(target: Buffer): DataView {
  if (target !== lastTarget) {
    if (target.length > MOST_KEPT_BYTES) return makeView(target);
    let view = targetViews.get(target);
    if (view === undefined) {
      view = makeView(target);
      targetViews.set(target, view);
    }
    lastTarget = target;
    lastTargetView = view;
  }
  return lastTargetView;
}

/** The view of a buffer that is read from, for as long as no other is asked for. */
export function sourceView(source: Buffer): DataView {
  if (source !== lastSource) {
    if (source.buffer.byteLength > MOST_KEPT_BYTES) return makeView(source);
    lastSource = source;
    lastSourceView = makeView(source);
  }
  return lastSourceView;
}
