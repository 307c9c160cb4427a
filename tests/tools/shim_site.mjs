// A site around the shim, on this machine: a service, an edge with private data and a public one, each on a
// host name of its own under localhost. They do only what the shim's rules need, and count what they see.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const SHIM = new URL("../../src/bundle/shim/", import.meta.url);
const PIXEL = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

export class Site {
  /** How long cookies live, in milliseconds, and when to renew them. */
  life = 3_600_000;
  refresh = 2_880_000;
  /** Whether the edge's refusals can be read by scripts. */
  readableRefusals = true;
  /** Whether `/session/worker.js` exists. */
  hasWorker = true;
  /** Whether what does not exist is answered by the front page. */
  answersAll = false;
  posts = 0;
  /** What the edges saw: {url, cookies, status}. */
  privateReads = [];
  publicReads = [];
  #servers = [];

  async start() {
    const [shim, worker] = await Promise.all(["shim.min.js", "service_worker.min.js"].map((name) => readFile(new URL(name, SHIM), "utf8")));
    this.viewer = await this.#listen("viewer", (request, response, url) => this.#service(request, response, url));
    this.data = await this.#listen("data", (request, response, url) => this.#edge(request, response, url));
    this.public = await this.#listen("public", (request, response, url) => this.#public(request, response, url));
    const configured = (text, more) => text.replace("EDGEMINT_CONFIG", () => JSON.stringify({ site: "", data: [`${this.data}/`], ...more }));
    this.shim = configured(shim);
    this.beside = configured(shim, { worker: "/session/worker.js" });
    this.worker = configured(worker);
  }

  stop() {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  #listen(name, answer) {
    const server = createServer((request, response) => answer(request, response, new URL(request.url, "http://x")));
    this.#servers.push(server);
    return new Promise((done) => server.listen(0, "127.0.0.1", () => done(`http://${name}.shim.localhost:${server.address().port}`)));
  }

  #service(request, response, url) {
    const signedIn = /(^|; )login=yes/.test(request.headers.cookie ?? "");
    if (url.pathname === "/session/cookies") return this.#issue(response, signedIn);
    if (url.pathname === "/session/login") return this.#login(request, response, url);
    if (url.pathname === "/session/worker.js") {
      if (!this.hasWorker && this.answersAll) return send(response, "text/html", "<!doctype html><title>A viewer</title>");
      if (!this.hasWorker) return response.writeHead(404).end();
      return send(response, "text/javascript", this.worker, { "service-worker-allowed": "/" });
    }
    const script = SCRIPTS[url.pathname];
    if (script !== undefined) return send(response, "text/javascript", `${this.shim}\n${script}`);
    if (url.pathname === "/off.html") return send(response, "text/html", "<!doctype html><title>A viewer</title>");
    const shim = url.pathname === "/beside.html" ? this.beside : this.shim;
    const hash = createHash("sha256").update(shim).digest("base64");
    const policy = `default-src 'none'; script-src 'self' 'sha256-${hash}'; worker-src 'self' blob:; connect-src 'self' http:; img-src http:`;
    send(response, "text/html", `<!doctype html><html lang="en"><head><script>${shim}</script><title>A viewer</title></head><body><main><h1>A viewer</h1></main></body></html>`, { "content-security-policy": policy });
  }

  #issue(response, signedIn) {
    this.posts += 1;
    if (!signedIn) return send(response, "application/problem+json", '{"type":"urn:edgemint:problem:not-signed-in"}', {}, 401);
    const [expires_in, refresh_in] = [this.life / 1000, this.refresh / 1000];
    const cookies = [
      `CloudFront-Policy=${Date.now() + this.life}; Domain=shim.localhost; Path=/; Secure; HttpOnly; SameSite=Lax`,
      "__Host-edgemint-set-00000000=1|2000000000|x; Path=/; Secure; SameSite=Lax",
    ];
    send(response, "application/json", JSON.stringify({ expires_in, refresh_in }), { "set-cookie": cookies });
  }

  /** A login page with a form, which loses the fragment. */
  #login(request, response, url) {
    if (request.method === "GET") {
      return send(response, "text/html", `<!doctype html><form method="post" action="${url.pathname}${url.search.replaceAll("&", "&amp;")}"><button>Enter</button></form>`);
    }
    response.writeHead(303, { location: url.searchParams.get("return_to"), "set-cookie": "login=yes; Path=/; HttpOnly" }).end();
  }

  #edge(request, response, url) {
    const cookie = request.headers.cookie ?? "";
    const open = Number(/CloudFront-Policy=(\d+)/.exec(cookie)?.[1]) > Date.now() && !url.pathname.includes("absent");
    this.privateReads.push({ url: request.url, cookie, open });
    const readable = open || this.readableRefusals;
    const cors = readable ? { "access-control-allow-origin": this.viewer, "access-control-allow-credentials": "true" } : {};
    if (url.pathname === "/elsewhere") return response.writeHead(307, { ...cors, location: `${this.public}/from-data` }).end();
    if (!open) return send(response, "text/xml", "<Error/>", cors, 403);
    if (url.pathname.endsWith(".png")) return send(response, "image/png", PIXEL, cors);
    send(response, "application/octet-stream", "private", cors);
  }

  #public(request, response) {
    this.publicReads.push({ url: request.url, cookie: request.headers.cookie ?? "" });
    send(response, "application/octet-stream", "public", { "access-control-allow-origin": "*" });
  }
}

function send(response, type, body, headers = {}, status = 200) {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store", ...headers }).end(body);
}

const REPORT = `
const report = async (urls) => Promise.all(urls.map((url) => fetch(url).then(async (answer) => [answer.status, await answer.text()], (error) => [error.name])));
self.onmessage = async ({ data: urls }) => self.postMessage(await report(urls));
self.onconnect = ({ ports: [port] }) => (port.onmessage = async ({ data: urls }) => port.postMessage(await report(urls)));
`;

const SCRIPTS = {
  "/classic.js": `"use strict";${REPORT}`,
  "/module.js": `import "./part.js";${REPORT}export default 1;`,
  "/part.js": "",
  "/nested.js": `const inner = new Worker("/classic.js");
self.onmessage = ({ data }) => inner.postMessage(data);
inner.onmessage = ({ data }) => self.postMessage(data);`,
};
