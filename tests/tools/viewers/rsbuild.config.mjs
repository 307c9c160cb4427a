// Neuroglancer as its users build it: with classic workers, or with MODULES=1 with module scripts and
// module workers, as vite has them.

// The npm package names ikonate by a git URL; the registry's version of it lacks three icons.
const icon = (missing) => [`ikonate/icons/${missing}.svg`, "ikonate/icons/controls.svg"];
const modules = Boolean(process.env.MODULES);

export default {
  source: { entry: { index: "./main.js" } },
  resolve: { alias: Object.fromEntries(["code-alt", "controls-alt", "layers"].map(icon)) },
  html: { title: "neuroglancer" },
  output: {
    assetPrefix: "auto",
    module: modules,
    // Flat: a classic worker looks for its chunks in its own folder.
    distPath: { root: modules ? "built/modules" : "built/classic", js: "", jsAsync: "", css: "", cssAsync: "", wasm: "", assets: "" },
  },
  performance: { printFileSize: false },
};
