// The demo's viewer: shows three private images, and what becomes of the signed cookies.
//
// Order: page state, session and cookies, reads from the edge, volumes, cards, image drawing, start.
// The page never decides what is open. It asks the edge, and explains the answer afterwards. The shim, which
// stands first in the page, renews the cookies; `window.edgemint` tells of it.

const $ = (id) => document.getElementById(id);
const shim = window.edgemint;
const now = () => Date.now();
const clock = (time) => new Date(time).toLocaleTimeString("en-GB");
const seconds = (until) => Math.max(0, Math.ceil((until - now()) / 1000));
const list = (names) => (names && names.length ? names.join(", ") : "none");

// --- page state ---

let config = { data_origin: "", datasets: [], views: [], neuroglancer: null };
let session = null; // what GET /session said; null while signed out
let cookies = null; // {issuedAt, refreshAt, expiresAt, resources, gone}; times in milliseconds
let renewals = 0;
const cards = [];

function log(text, kind = "") {
  const line = document.createElement("li");
  const time = document.createElement("time");
  const what = document.createElement("span");
  time.textContent = clock(now());
  what.textContent = text;
  what.className = kind;
  line.append(time, what);
  const lines = $("log").firstElementChild;
  lines.append(line);
  while (lines.children.length > 80) lines.firstChild.remove();
  $("log").scrollTop = $("log").scrollHeight;
}

// --- session and cookies ---

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15_000;

async function readSession() {
  const answer = await fetch("/session", { headers: { accept: "application/json" } });
  if (answer.status === 401) return null;
  if (!answer.ok) throw new Error(`the service answered ${answer.status}`);
  return answer.json();
}

/** What the service said when no rule opens anything; otherwise nothing. */
function noAccess() {
  if (!session || shim.state !== "no-access") return "";
  const why = session.withheld?.[0] ?? "no rule opens anything for you";
  return `${why}: ask the person who runs this viewer to add you to a group`;
}

/** Signed in, with a rule that opens something, and yet without live cookies. */
const awaitingCookies = () => session && !noAccess() && (!cookies || cookies.gone);

/** Runs four times a second and on every change: notes new cookies and their end, and shows the time left. */
function tick() {
  const expiresAt = now() + shim.expiresIn * 1000;
  // It counts in whole seconds.
  if (shim.state === "fresh" && expiresAt > (cookies?.expiresAt ?? 0) + 1500) noteCookies(expiresAt);
  if (cookies && !cookies.gone && now() >= cookies.expiresAt) {
    cookies.gone = true;
    log(`cookies expired at ${clock(cookies.expiresAt)}`, "bad");
    showResources();
    setTimeout(() => cookies.gone && cards.forEach((card) => card.check()), 1200);
  }
  showCountdown();
}

function noteCookies(expiresAt) {
  const first = cookies === null;
  const before = list(cookies?.resources);
  const refreshAt = now() + shim.renewsIn * 1000;
  cookies = { issuedAt: now(), refreshAt, expiresAt, resources: shim.resources ?? [], gone: false };
  if (!first) renewals += 1;
  document.body.dataset.renewals = renewals;
  log(`cookies ${first ? "set" : "renewed"} until ${clock(expiresAt)}`, "good");
  showResources();
  const changed = first || before !== list(cookies.resources);
  cards.forEach((card) => card.afterRenewal(changed));
  if (!first) lookAgain();
}

function stateChanged(state) {
  tick();
  if (state === "signed-out") signedOut();
  if (state === "no-access" || (state === "fresh" && !session)) lookAgain();
  if (state === "no-access") log("no cookies: no rule opens anything", "bad");
  if (state === "unknown") log("no cookies: the service does not answer", "warn");
}

/** Reads the session again: groups change, and people sign in and out in other tabs. */
async function lookAgain() {
  const before = session?.subject;
  const found = await readSession().catch(() => session);
  if (!found) return signedOut();
  session = found;
  showWho();
  showResources();
  if (before === session.subject) return;
  log(`now signed in as ${session.email || session.subject}`);
  cards.forEach((card) => card.check());
}

function signedOut() {
  if (session) log("no longer signed in: these cookies will not be renewed", "warn");
  session = null;
  showWho();
}

function showCountdown() {
  const live = cookies && !cookies.gone;
  const life = live ? cookies.expiresAt - cookies.issuedAt : 1;
  const left = live ? Math.max(0, cookies.expiresAt - now()) / life : 0;
  $("ring").setAttribute("stroke-dasharray", `${(left * 100).toFixed(2)} 100`);
  $("ring-text").textContent = live ? seconds(cookies.expiresAt) : "–";
  const marked = live && session && !noAccess();
  $("ring-mark").setAttribute("visibility", marked ? "visible" : "hidden");
  if (marked) {
    const turn = (360 * (cookies.expiresAt - cookies.refreshAt)) / life;
    $("ring-mark").setAttribute("transform", `rotate(${turn.toFixed(1)} 50 50)`);
  }
  const [mood, text] = countdown(live);
  $("countdown").textContent = text;
  document.querySelector(".cookies").dataset.mood = mood;
}

function countdown(live) {
  const expiry = live ? `cookies expire in ${seconds(cookies.expiresAt)}\u00a0s` : "";
  if (!session) {
    if (live) return ["late", `signed out · ${expiry} and will not be renewed`];
    if (cookies) return ["gone", `signed out · cookies expired at ${clock(cookies.expiresAt)}`];
    return ["none", document.body.dataset.session === "out" ? "signed out · no cookies" : "…"];
  }
  if (noAccess()) return ["none", live ? `${expiry} · no rule renews them` : "no cookies"];
  if (!cookies) return ["none", "asking for cookies …"];
  const renewal = `renew in ${shim.renewsIn ?? 0}\u00a0s`;
  return live ? ["", `${expiry} · ${renewal}`] : ["gone", `cookies expired at ${clock(cookies.expiresAt)} · ${renewal}`];
}

function showResources() {
  showVolumes();
  const why = noAccess();
  const lines = cookies && !cookies.gone && !why ? cookies.resources : [];
  $("resources").replaceChildren(...lines.map((resource) => element("li", resource)));
  if (why) $("resources").replaceChildren(element("li", why, "why"));
}

function showWho() {
  document.body.dataset.session = session ? "in" : "out";
  $("sign-in").hidden = Boolean(session);
  $("sign-out-form").hidden = !session;
  document.querySelector(".email").textContent = session ? session.email || session.subject : "Not signed in";
  const groups = (session?.groups ?? []).map((group) => element("li", group));
  if (session && !groups.length) groups.push(element("li", "in no group", "none"));
  if (session?.email && !session.email_verified) groups.push(element("li", "e-mail not verified", "warn"));
  document.querySelector(".chips").replaceChildren(...groups);
}

/** The view, which is in the address, comes back too. */
const signIn = () => shim.signIn();

// --- reads from the edge ---

/** Reads one object: {body} or {problem: "refused" | "unreachable" | "missing"}. */
async function read(path) {
  const url = config.data_origin + path;
  try {
    const answer = await fetch(url, { cache: "no-store" });
    if (answer.ok) return { body: await answer.arrayBuffer() };
    if (answer.status === 404) return { problem: "missing" };
    // Where there are no cookies just now, the shim has 503 instead of the refusal.
    const isRefused = answer.status === 403 || (answer.status === 503 && shim.state !== "fresh");
    return { problem: isRefused ? "refused" : "unreachable" };
  } catch {
    return { problem: (await answersAtAll(url)) ? "refused" : "unreachable" };
  }
}

/**
 * Whether the edge gives any answer. A 403 has no CORS headers, so to a page it looks like a broken
 * connection; a read whose answer stays hidden from the page tells the two apart.
 */
async function answersAtAll(url) {
  const hidden = { method: "HEAD", mode: "no-cors", credentials: "include", cache: "no-store" };
  return fetch(url, hidden).then(() => true, () => false);
}

async function readJson(path) {
  const outcome = await read(path);
  if (outcome.problem) return outcome;
  return { json: JSON.parse(new TextDecoder().decode(outcome.body)) };
}

/** Whether the cookies' resources name this path. Only ever used to explain an answer. */
const covers = (path) => coversUrl(config.data_origin + path);

function coversUrl(url) {
  return (cookies?.resources ?? []).some((resource) =>
    resource.endsWith("*") ? url.startsWith(resource.slice(0, -1)) : url === resource);
}

// --- volumes ---

/** Offers a view in Neuroglancer where the cookies cover all of it; the edge decides in any case. */
function showVolumes() {
  const open = (view) => cookies && !cookies.gone && !noAccess() && view.private.every((url) => coversUrl(`${url}/`));
  $("volumes-note").textContent = config.neuroglancer
    ? "In three dimensions, each in a format that viewers read. A link opens an unmodified Neuroglancer."
    : "Neuroglancer is not here: “make demo” fetches it, where there are network and pip. Scripts read the volumes all the same.";
  $("volumes").replaceChildren(...config.views.map((view) => {
    const item = element("li", "");
    const title = config.neuroglancer && open(view)
      ? Object.assign(element("a", view.title), { href: config.neuroglancer + view.fragment })
      : element("span", view.title);
    item.dataset.state = open(view) ? "open" : "closed";
    item.append(title, element("small", `${view.about}${open(view) ? "" : session ? " Not yours to see." : " Sign in first."}`));
    return item;
  }));
}

// --- cards ---

const STATES = { loading: "loading", open: "open", refused: "refused", "signed-out": "locked" };
const COLOURS = {
  Ember: ["#04030f", "#2a1060", "#852780", "#d8456c", "#fd9a6a", "#fdf6c4"],
  Lagoon: ["#040817", "#10325f", "#1b7199", "#45b7ae", "#b5e8bb", "#fff6c9"],
  Stain: ["#fcf9f6", "#e6d6e6", "#b99acb", "#8058a6", "#4c2c7d", "#1d0f3f"],
  Mint: ["#03100d", "#0a3a32", "#11705c", "#36b68c", "#9ae6bf", "#f1fff4"],
  Grey: ["#000000", "#333333", "#666666", "#999999", "#cccccc", "#ffffff"],
};

class Card {
  constructor(dataset, index) {
    const root = $("card").content.firstElementChild.cloneNode(true);
    Object.assign(this, { ...dataset, root, find: (what) => root.querySelector(what) });
    root.dataset.dataset = this.lab;
    root.setAttribute("aria-label", this.name);
    this.find("h2").textContent = this.name;
    this.find(".path").textContent = this.path;
    this.find("canvas").setAttribute("aria-label",
      `${this.name}: drag or arrow keys move, wheel or plus and minus keys zoom, 0 shows all`);
    const first = Object.keys(COLOURS)[index % 3];
    const colours = this.find(".colours");
    colours.append(...Object.keys(COLOURS).map((name) => element("option", name)));
    colours.value = first;
    colours.setAttribute("aria-label", `Colours of ${this.name}`);
    this.image = new ImageView(this, first);
    colours.addEventListener("change", () => this.image.recolour(colours.value));
    for (const [act, label] of [["out", "Zoom out"], ["in", "Zoom in"], ["fit", "Show all"]]) {
      const button = this.find(`[data-act="${act}"]`);
      button.setAttribute("aria-label", `${label}: ${this.name}`);
      button.addEventListener("click", () => this.image.act(act));
    }
    this.wait = FIRST_WAIT;
    this.show("loading", { title: "Asking the edge …" });
    $("datasets").append(root);
  }

  get state() {
    return this.root.dataset.state;
  }

  /** Changes the state; a notice lies over the image unless it is open. */
  show(state, { title = "", text = [], facts = [], button, act } = {}) {
    this.root.dataset.state = state;
    this.find(".state").textContent = STATES[state];
    this.find(".notice").hidden = state === "open";
    this.find(".notice h3").textContent = title;
    this.find(".notice p").replaceChildren(...text);
    this.find(".notice dl").replaceChildren(
      ...facts.flatMap(([term, value]) => [element("dt", term), element("dd", value)]));
    this.find(".notice .button").hidden = !button;
    this.find(".notice .button").textContent = button ?? "";
    this.find(".notice .button").className = `button${act === signIn ? " primary" : ""}`;
    this.find(".notice .button").onclick = act ?? null;
    if (state !== "open") this.find(".status").textContent = `asked at ${clock(now())}`;
  }

  /** Reads the image's metadata, then shows the image or the reason why not; one at a time. */
  check() {
    this.checking ??= this.ask()
      .catch((error) => this.show("refused", { title: "Cannot be read", text: [error.message] }))
      .finally(() => (this.checking = null));
    return this.checking;
  }

  async ask() {
    const group = await readJson(`${this.path}/.zattrs`);
    if (group.problem) return this.explain(group.problem);
    if (!this.image.levels) {
      const described = group.json.multiscales[0].datasets;
      const arrays = await Promise.all(
        described.map((level) => readJson(`${this.path}/${level.path}/.zarray`)));
      const problem = arrays.find((array) => array.problem)?.problem;
      if (problem) return this.explain(problem);
      this.image.load(described, arrays.map((array) => array.json));
    }
    this.wait = FIRST_WAIT;
    if (this.state !== "open") {
      const { width, height } = this.image.levels[0];
      log(`${this.lab} is open: ${width} × ${height} pixels, ${this.image.levels.length} levels`, "good");
      this.show("open");
    }
    this.image.resume();
    // Without a session nobody renews, and an old cookie's end is not known: keep asking.
    if (!session && !cookies) setTimeout(() => this.check(), 5000);
  }

  explain(problem) {
    const asked = element("code", `${this.path}/.zattrs`);
    if (problem === "unreachable") return this.retryLater();
    if (problem === "missing") return this.show("refused", { title: "Not there", text: ["The edge has no ", asked, "."] });
    if (awaitingCookies()) {
      const text = ["The edge answers 403 until they are renewed, which is tried again and again."];
      return this.show("loading", { title: cookies ? "Cookies expired" : "No cookies yet", text });
    }
    const known = this.state === "refused" || this.state === "signed-out";
    if (session) {
      if (!known) log(`data for ${this.lab} refused`, "bad");
      const mine = covers(this.path + "/");
      this.image.forget();
      this.show("refused", {
        title: mine ? "Refused, though the cookies list it" : "Not yours to see",
        text: ["The edge answered 403 to ", asked, "."],
        facts: [["Your groups", list(session.groups)], ["Your rules", list(session.rules)], ["Rule needed", this.lab]],
        button: "Ask again",
        act: () => this.askAgain(),
      });
      return;
    }
    if (!known) log(`data for ${this.lab} refused: not signed in`);
    const expired = this.root.hasAttribute("data-has-image");
    const when = cookies ? `They expired at ${clock(cookies.expiresAt)}` : "They have expired";
    this.show("signed-out", {
      title: expired ? "Cookies expired" : "Locked",
      text: expired
        ? [`${when} and you are signed out, so the edge answers 403. Your view is kept while you sign in.`]
        : ["The edge answered 403: no signed cookies. Sign in to see whether this is open to you."],
      button: "Sign in",
      act: signIn,
    });
  }

  async askAgain() {
    this.show("loading", { title: "Asking the edge …" });
    await shim.renew();
    this.check();
  }

  retryLater() {
    const pause = this.wait;
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    if (this.state !== "loading" || pause === FIRST_WAIT) log(`${this.lab}: no usable answer from the edge`, "warn");
    this.show("loading", { title: "No usable answer from the edge", text: [`Next try in ${Math.ceil(pause / 1000)} s.`] });
    setTimeout(() => this.check(), pause);
  }

  afterRenewal(changed) {
    if (this.state !== "refused" || changed) this.check();
  }
}

// --- image drawing ---

const PARALLEL = 6;
const MOST_ZOOM = 24;

/** One image pyramid on a canvas. Places are in pixels of the finest level. */
class ImageView {
  constructor(card, colours) {
    this.card = card;
    this.canvas = card.find("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.chunks = new Map(); // "level/row/column" → {bytes, picture, colours} | "asked"
    this.reading = 0;
    this.levels = null;
    this.view = null; // {x, y, zoom}: the centre, and CSS pixels per pixel
    this.recolour(colours);
    this.listen();
    new ResizeObserver(() => this.resize()).observe(this.canvas);
  }

  load(described, arrays) {
    this.levels = described.map((level, index) => {
      const [{ scale }] = level.coordinateTransformations;
      const { shape, chunks, dimension_separator: between } = arrays[index];
      return {
        path: level.path, between, micrometres: scale[1],
        step: scale[1] / described[0].coordinateTransformations[0].scale[1],
        width: shape[1], height: shape[0], side: chunks[1],
      };
    });
    this.card.root.dataset.hasImage = "";
    this.resize();
  }

  /** Drops what was read: it is not, or no longer, this person's to see. */
  forget() {
    this.levels = null;
    this.chunks.clear();
    delete this.card.root.dataset.hasImage;
  }

  get fitZoom() {
    const { width, height } = this.levels[0];
    return Math.min(this.canvas.clientWidth / width, this.canvas.clientHeight / height);
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (!this.levels || !this.canvas.clientWidth) return;
    this.view ??= viewFromFragment(this.card.lab) ?? this.wholeImage();
    this.settle();
  }

  wholeImage() {
    const { width, height } = this.levels[0];
    return { x: width / 2, y: height / 2, zoom: this.fitZoom, whole: true };
  }

  act(what) {
    if (!this.view) return;
    if (what === "fit") this.view = this.wholeImage();
    else this.zoomBy(what === "in" ? 1.5 : 1 / 1.5);
    this.settle();
  }

  /** Zooms; the place under the given point of the canvas (its centre by default) stays put. */
  zoomBy(factor, left = this.canvas.clientWidth / 2, top = this.canvas.clientHeight / 2) {
    const { zoom } = this.view;
    const next = Math.min(MOST_ZOOM, Math.max(this.fitZoom, zoom * factor));
    const [dx, dy] = [left - this.canvas.clientWidth / 2, top - this.canvas.clientHeight / 2];
    this.view = { x: this.view.x + dx / zoom - dx / next, y: this.view.y + dy / zoom - dy / next, zoom: next };
    this.settle();
  }

  moveBy(dx, dy) {
    this.view = { ...this.view, whole: false, x: this.view.x - dx / this.view.zoom, y: this.view.y - dy / this.view.zoom };
    this.settle();
  }

  /** Keeps the view over the image, then draws it and notes it in the address. */
  settle() {
    const { width, height } = this.levels[0];
    const zoom = this.view.whole ? this.fitZoom : Math.max(this.fitZoom, this.view.zoom);
    const hold = (at, side, shown) => (shown >= side ? side / 2 : Math.min(side - shown / 2, Math.max(shown / 2, at)));
    this.view = {
      x: hold(this.view.x, width, this.canvas.clientWidth / zoom),
      y: hold(this.view.y, height, this.canvas.clientHeight / zoom),
      zoom,
      whole: zoom <= this.fitZoom * 1.001,
    };
    this.redraw();
    noteViews();
  }

  recolour(name) {
    this.colours = name;
    this.table = colourTable(COLOURS[name]);
    this.redraw();
  }

  resume() {
    this.redraw();
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.levels && this.view) this.draw();
    });
  }

  draw() {
    const { context, canvas, levels } = this;
    const scale = (this.view.zoom * canvas.width) / canvas.clientWidth;
    const best = Math.min(levels.length - 1, Math.max(0, Math.floor(Math.log2(1 / scale) + 0.3)));
    const [red, green, blue] = this.table;
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(0, 0, canvas.width, canvas.height);
    const wanted = [];
    // Coarse levels first: they stand in for chunks that are still on their way.
    for (let level = levels.length - 1; level >= best; level -= 1) {
      context.imageSmoothingEnabled = scale * levels[level].step < 3;
      context.imageSmoothingQuality = "high";
      for (const place of this.visible(level, scale)) {
        const chunk = this.chunks.get(place.key);
        if (chunk?.bytes) context.drawImage(this.picture(chunk, levels[level].side), ...place.box);
        else if (!chunk && (level === best || level === levels.length - 1)) wanted.push(place);
      }
    }
    this.wanted = wanted.sort((one, other) => other.level - one.level || one.far - other.far);
    this.pump();
    this.describe(best);
  }

  /** The chunks of a level that the canvas shows, with their boxes in canvas pixels. */
  visible(index, scale) {
    const { canvas, view } = this;
    const level = this.levels[index];
    const span = level.side * level.step * scale;
    const left = canvas.width / 2 - view.x * scale;
    const top = canvas.height / 2 - view.y * scale;
    const range = (start, shown, count) => [Math.max(0, Math.floor(-start / span)), Math.min(count - 1, Math.floor((shown - start) / span))];
    const [firstRow, lastRow] = range(top, canvas.height, Math.ceil(level.height / level.side));
    const [firstColumn, lastColumn] = range(left, canvas.width, Math.ceil(level.width / level.side));
    const places = [];
    for (let row = firstRow; row <= lastRow; row += 1) {
      for (let column = firstColumn; column <= lastColumn; column += 1) {
        const [x, y] = [Math.round(left + column * span), Math.round(top + row * span)];
        const [right, bottom] = [Math.round(left + (column + 1) * span), Math.round(top + (row + 1) * span)];
        const far = Math.hypot((x + right - canvas.width) / 2, (y + bottom - canvas.height) / 2);
        const key = `${level.path}/${row}${level.between ?? "."}${column}`;
        places.push({ key, level: index, far, box: [x, y, right - x, bottom - y] });
      }
    }
    return places;
  }

  pump() {
    while (this.reading < PARALLEL && this.wanted?.length && this.card.state === "open") {
      const { key } = this.wanted.shift();
      if (!this.chunks.has(key)) this.fetchChunk(key);
    }
  }

  async fetchChunk(key) {
    this.chunks.set(key, "asked");
    this.reading += 1;
    const outcome = await read(`${this.card.path}/${key}`);
    this.reading -= 1;
    if (outcome.body) {
      this.chunks.set(key, { bytes: new Uint8Array(outcome.body) });
    } else if (outcome.problem !== "missing") {
      // A refused chunk is not an absent one: it is asked for again once the card is open.
      this.chunks.delete(key);
      await this.card.check();
    }
    this.redraw();
  }

  /** A chunk as a small canvas in the present colours. */
  picture(chunk, side) {
    if (chunk.colours === this.colours) return chunk.picture;
    chunk.colours = this.colours;
    chunk.picture ??= Object.assign(document.createElement("canvas"), { width: side, height: side });
    const context = chunk.picture.getContext("2d");
    const pixels = context.createImageData(side, side);
    const { table } = this;
    chunk.bytes.forEach((value, index) => {
      pixels.data[4 * index] = table[3 * value];
      pixels.data[4 * index + 1] = table[3 * value + 1];
      pixels.data[4 * index + 2] = table[3 * value + 2];
      pixels.data[4 * index + 3] = 255;
    });
    context.putImageData(pixels, 0, 0);
    return chunk.picture;
  }

  describe(best) {
    const { micrometres } = this.levels[best];
    const read = [...this.chunks.values()].filter((chunk) => chunk.bytes).length;
    if (this.card.state === "open") {
      this.card.find(".status").textContent = `level ${best}, ${micrometres} µm per pixel, ${read} ${read === 1 ? "chunk" : "chunks"} read`;
    }
    this.canvas.dataset.level = best;
    this.canvas.dataset.chunks = read;
    this.canvas.dataset.awaited = this.reading + this.wanted.length;
    const perPixel = this.levels[0].micrometres / this.view.zoom;
    const longest = perPixel * this.canvas.clientWidth * 0.3;
    const power = 10 ** Math.floor(Math.log10(longest));
    const length = [5, 2, 1].map((digit) => digit * power).find((nice) => nice <= longest);
    this.card.find(".scale span").textContent = `${length} µm`;
    this.card.find(".scale span").style.width = `${length / perPixel}px`;
  }

  listen() {
    const { canvas } = this;
    const held = new Map();
    canvas.addEventListener("wheel", (event) => {
      if (!this.view) return;
      event.preventDefault();
      const turn = event.deltaY * (event.deltaMode === 1 ? 16 : 1) * (event.ctrlKey ? 6 : 1);
      this.zoomBy(Math.exp(-Math.max(-240, Math.min(240, turn)) * 0.002), event.offsetX, event.offsetY);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      held.set(event.pointerId, [event.offsetX, event.offsetY]);
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId);
      if (!before || !this.view) return;
      const at = [event.offsetX, event.offsetY];
      const [other] = [...held].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      held.set(event.pointerId, at);
      const apart = (one, two) => Math.hypot(one[0] - two[0], one[1] - two[1]) || 1;
      if (other) this.zoomBy(apart(at, other) / apart(before, other), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
      else this.moveBy(at[0] - before[0], at[1] - before[1]);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => held.delete(event.pointerId));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("dblclick", (event) => this.view && this.zoomBy(2, event.offsetX, event.offsetY));
  }

  key(event) {
    if (!this.view || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    const acts = { "+": "in", "=": "in", "-": "out", _: "out", 0: "fit" };
    if (moves[event.key]) this.moveBy(...moves[event.key]);
    else if (acts[event.key]) this.act(acts[event.key]);
    else return;
    event.preventDefault();
  }
}

/** 256 colours between the given ones, as red, green and blue in turn. */
function colourTable(stops) {
  const parts = stops.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  const table = new Uint8Array(768);
  for (let value = 0; value < 256; value += 1) {
    const place = (value / 255) * (parts.length - 1);
    const index = Math.min(parts.length - 2, Math.floor(place));
    for (let part = 0; part < 3; part += 1) {
      const [from, to] = [parts[index][part], parts[index + 1][part]];
      table[3 * value + part] = Math.round(from + (to - from) * (place - index));
    }
  }
  return table;
}

// Views live in the address, as #lab-a=x,y,zoom;lab-b=…, so that a link shows the same places.

function viewFromFragment(lab) {
  const part = location.hash.slice(1).split(";").find((text) => text.startsWith(`${lab}=`));
  const numbers = part?.slice(lab.length + 1).split(",").map(Number);
  if (numbers?.length !== 3 || !numbers.every(Number.isFinite)) return null;
  const [x, y, zoom] = numbers;
  return { x, y, zoom: Math.min(MOST_ZOOM, zoom) };
}

let noting = null;

function noteViews() {
  noting ??= setTimeout(() => {
    noting = null;
    const parts = cards.map((card) => {
      const { view } = card.image;
      if (!view) return location.hash.slice(1).split(";").find((text) => text.startsWith(`${card.lab}=`));
      return view.whole ? null : `${card.lab}=${view.x.toFixed(1)},${view.y.toFixed(1)},${view.zoom.toFixed(3)}`;
    });
    const fragment = parts.filter(Boolean).join(";");
    history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
  }, 300);
}

// --- start ---

function element(name, text, className = "") {
  return Object.assign(document.createElement(name), { textContent: text, className });
}

async function whoAmI() {
  for (let pause = FIRST_WAIT; ; pause = Math.min(pause * 2, LONGEST_WAIT)) {
    try {
      return await readSession();
    } catch (error) {
      log(`who is signed in is not known: ${error.message}; next try in ${pause / 1000} s`, "warn");
      await new Promise((done) => setTimeout(done, pause));
    }
  }
}

async function start() {
  // This page says by itself who has to sign in, and who may not see what.
  for (const type of ["signinrequired", "accessrequired"]) shim.addEventListener(type, (event) => event.preventDefault());
  $("sign-in").addEventListener("click", (event) => {
    event.preventDefault();
    signIn();
  });
  config = await (await fetch("config.json")).json();
  config.datasets.forEach((dataset, index) => cards.push(new Card(dataset, index)));
  session = await whoAmI();
  showWho();
  showVolumes();
  log(session ? `signed in as ${session.email || session.subject}` : "not signed in");
  shim.addEventListener("change", ({ detail }) => stateChanged(detail.state));
  if (session) await shim.renew();
  tick();
  setInterval(tick, 250);
  showResources();
  cards.forEach((card) => card.check());
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());
}

start().catch((error) => log(`the viewer could not start: ${error.message}`, "bad"));
