/** A view costs more to make than a short row to write: views of the buffers in use are kept. */
const targetViews = new WeakMap<Buffer, DataView>();
let lastTarget: Buffer | null = null;
let lastTargetView: DataView = new DataView(new ArrayBuffer(0));
let lastSource: Buffer | null = null;
let lastSourceView: DataView = lastTargetView;

function makeView(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The view of a buffer that is written to again and again. */
export function targetView(target: Buffer): DataView {
  if (target !== lastTarget) {
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
    lastSource = source;
    lastSourceView = makeView(source);
  }
  return lastSourceView;
}
