// Starts the machine's Chromium, quiet and without a proxy.

import { chromium } from "playwright-core";

export function launch() {
  const args = [
    "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--no-default-browser-check", "--no-proxy-server",
  ];
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  return chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args });
}
