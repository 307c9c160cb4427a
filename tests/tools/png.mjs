// PNG images, as far as the tests write and read them: eight bits a channel, not interlaced.

import assert from "node:assert/strict";
import { crc32, deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");
const CHANNELS = { 0: 1, 2: 3, 4: 2, 6: 4 };

/** A square grey image of `side` pixels. */
export function png(pixels, side) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head[8] = 8;
  const rows = Array.from({ length: side }, (_, row) => [Buffer.of(0), pixels.subarray(row * side, (row + 1) * side)]);
  const data = deflateSync(Buffer.concat(rows.flat()));
  return Buffer.concat([SIGNATURE, block("IHDR", head), block("IDAT", data), block("IEND", Buffer.alloc(0))]);
}

function block(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

/** The pixels of an image: `{width, height, channels, bytes}`, row by row. */
export function pixels(file) {
  assert.deepEqual(file.subarray(0, 8), SIGNATURE);
  const [width, height] = [file.readUInt32BE(16), file.readUInt32BE(20)];
  const [depth, colour, , , interlace] = file.subarray(24, 29);
  const channels = CHANNELS[colour];
  assert.ok(depth === 8 && channels && interlace === 0, `depth ${depth}, colour ${colour}`);
  const data = [];
  for (let at = 8; at < file.length;) {
    const length = file.readUInt32BE(at);
    if (file.toString("latin1", at + 4, at + 8) === "IDAT") data.push(file.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  return { width, height, channels, bytes: unfilter(inflateSync(Buffer.concat(data)), width * channels, channels) };
}

function unfilter(lines, length, step) {
  const rows = lines.length / (length + 1);
  const out = Buffer.alloc(rows * length);
  for (let row = 0; row < rows; row++) {
    const filter = lines[row * (length + 1)];
    for (let column = 0; column < length; column++) {
      const here = row * length + column;
      const left = column < step ? 0 : out[here - step];
      const up = row === 0 ? 0 : out[here - length];
      const corner = row === 0 || column < step ? 0 : out[here - length - step];
      out[here] = lines[row * (length + 1) + 1 + column] + predict(filter, left, up, corner);
    }
  }
  return out;
}

/** The PNG specification's filters, section 9.2. */
function predict(filter, left, up, corner) {
  switch (filter) {
    case 0: return 0;
    case 1: return left;
    case 2: return up;
    case 3: return (left + up) >> 1;
    default: {
      const guess = left + up - corner;
      const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value));
      return a <= b && a <= c ? left : b <= c ? up : corner;
    }
  }
}
