// Writes volumes and tiles for the tests of stock viewers: node stock_data.mjs FOLDER
//
// One folder for each host. Every voxel and pixel that exists is bright, so what is black is missing.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { png } from "./png.mjs";

const [folder] = process.argv.slice(2);
const CUBE = { shape: [64, 64, 64], chunk: [16, 16, 16] };
/** One slice of it is 256 chunks. */
const SLAB = { shape: [8, 128, 128], chunk: [8, 8, 8] };

function main() {
  zarr2("data/lab-a/zarr2", { ...CUBE, seed: 1 });
  zarr3("data/lab-a/zarr3", { ...CUBE, seed: 2 });
  precomputed("data/lab-a/precomputed", { ...CUBE, seed: 3 });
  zarr2("data/lab-a/slab", { ...SLAB, seed: 4 });
  // The same twice: the front of the world has different answers to what is absent.
  for (const name of ["sparse", "listed"]) {
    zarr2(`data/lab-a/${name}`, { ...CUBE, seed: 5, has: ([z, y, x]) => (x + y + z) % 4 === 0 });
  }
  omeZarr("data/lab-a/ome.zarr", { ...CUBE, seed: 6 });
  tiles("data/lab-a/tiles", 7);
  zarr2("data/lab-b/zarr2", { ...CUBE, seed: 8 });
  precomputed("archive/old-a/precomputed", { ...CUBE, seed: 9 });
  zarr3("data-b/volumes/zarr3", { ...CUBE, seed: 10 });
  precomputed("data-b/volumes/precomputed", { ...CUBE, seed: 14 });
  zarr3("data-c/volumes/zarr3", { ...CUBE, seed: 15 });
  zarr2("public/zarr2", { ...CUBE, seed: 11 });
  precomputed("public/precomputed", { ...CUBE, seed: 12 });
  tiles("public/tiles", 13);
  omeZarr("public/ome.zarr", { ...CUBE, seed: 16 });
  write("evil/bait.json", "{}");
  write("data/lab-a/page.html", "<!doctype html><title>page</title><script>document.title = 'ran'</script>");
}

/** Between 80 and 255, the same for blocks of four. */
function bright(z, y, x, seed) {
  let hash = seed * 0x9e3779b1;
  for (const part of [z, y, x]) hash = Math.imul((hash ^ (part >> 2)) >>> 0, 0x85ebca6b) ^ (hash >>> 13);
  return 80 + ((hash >>> 8) % 176);
}

function zarr2(path, volume, separator = ".") {
  const { shape, chunk: chunks } = volume;
  write(`${path}/.zarray`, {
    zarr_format: 2, shape, chunks, dtype: "|u1", compressor: null, fill_value: 0, filters: null, order: "C",
    dimension_separator: separator,
  });
  if (separator === ".") write(`${path}/.zattrs`, { _ARRAY_DIMENSIONS: ["z", "y", "x"] });
  for (const { at, bytes } of chunksOf(volume)) write(`${path}/${at.join(separator)}`, bytes);
}

function zarr3(path, volume) {
  write(`${path}/zarr.json`, {
    zarr_format: 3, node_type: "array", shape: volume.shape, data_type: "uint8", fill_value: 0,
    chunk_grid: { name: "regular", configuration: { chunk_shape: volume.chunk } },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    codecs: [{ name: "bytes" }], dimension_names: ["z", "y", "x"], attributes: {},
  });
  for (const { at, bytes } of chunksOf(volume)) write(`${path}/c/${at.join("/")}`, bytes);
}

/** Named by their bounds, x before y before z; in C order, z is the slowest, as Neuroglancer has it. */
function precomputed(path, volume) {
  const { shape, chunk } = volume;
  const scale = {
    key: "full", size: [...shape].reverse(), resolution: [8, 8, 8], voxel_offset: [0, 0, 0],
    chunk_sizes: [[...chunk].reverse()], encoding: "raw",
  };
  write(`${path}/info`, {
    "@type": "neuroglancer_multiscale_volume", type: "image", data_type: "uint8", num_channels: 1, scales: [scale],
  });
  for (const { at, bytes } of chunksOf(volume)) {
    const bounds = at.map((index, axis) => `${index * chunk[axis]}-${(index + 1) * chunk[axis]}`);
    write(`${path}/full/${bounds.reverse().join("_")}`, bytes);
  }
}

function omeZarr(path, volume) {
  const axes = ["z", "y", "x"].map((name) => ({ name, type: "space", unit: "micrometer" }));
  const coordinateTransformations = [{ type: "scale", scale: [1, 1, 1] }];
  const datasets = [{ path: "0", coordinateTransformations }];
  write(`${path}/.zgroup`, { zarr_format: 2 });
  write(`${path}/.zattrs`, { multiscales: [{ version: "0.4", name: "ome", axes, datasets }] });
  zarr2(`${path}/0`, volume, "/");
}

function* chunksOf({ shape, chunk, seed, has = () => true }) {
  const count = shape.map((length, axis) => length / chunk[axis]);
  for (let number = 0; number < count[0] * count[1] * count[2]; number++) {
    const at = [Math.floor(number / (count[1] * count[2])), Math.floor(number / count[2]) % count[1], number % count[2]];
    if (has(at)) yield { at, bytes: voxels(at.map((index, axis) => index * chunk[axis]), chunk, seed) };
  }
}

function voxels([z0, y0, x0], [depth, height, width], seed) {
  const bytes = Buffer.alloc(depth * height * width);
  let next = 0;
  for (let z = z0; z < z0 + depth; z++) {
    for (let y = y0; y < y0 + height; y++) {
      for (let x = x0; x < x0 + width; x++) bytes[next++] = bright(z, y, x, seed);
    }
  }
  return bytes;
}

/** A Deep Zoom image of 256 pixels a side, in tiles of 64. */
function tiles(path, seed) {
  write(`${path}.dzi`, `<?xml version="1.0" encoding="UTF-8"?>
<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="png" Overlap="0" TileSize="64">
<Size Width="256" Height="256"/></Image>`);
  for (let level = 0; level <= 8; level++) {
    const side = 1 << level;
    for (let row = 0; row * 64 < side; row++) {
      for (let column = 0; column * 64 < side; column++) {
        const width = Math.min(64, side);
        const pixels = voxels([level, row * 64, column * 64], [1, width, width], seed);
        write(`${path}_files/${level}/${column}_${row}.png`, png(pixels, width));
      }
    }
  }
}

function write(path, content) {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  const isText = typeof content === "string" || Buffer.isBuffer(content);
  writeFileSync(file, isText ? content : JSON.stringify(content));
}

main();
