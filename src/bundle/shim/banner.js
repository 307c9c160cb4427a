// A small card at the lower right of the page that says why data is missing: there viewers have least to click, and
// Neuroglancer's "Sections" lies below it. It stands in a tree of its own, so that neither the viewer's styles nor
// its scripts meet it; it is made without markup and without style sheets, so that no Content-Security-Policy needs
// to allow any.

const HOST = { all: "initial", position: "fixed", inset: "auto 12px 40px auto", zIndex: "2147483647" };
const PANEL = {
  display: "flex", flexWrap: "wrap", alignItems: "center", justifyContent: "space-between", gap: "2px 14px",
  maxWidth: "min(300px, calc(100vw - 24px))", boxSizing: "border-box", padding: "8px 8px 8px 12px", borderRadius: "8px",
  border: "1px solid #8b949e", background: "#1c2128", color: "#ffffff", font: "13px/1.4 system-ui, sans-serif",
  boxShadow: "0 2px 12px rgba(0, 0, 0, 0.5)",
};
const LINK = { color: "#9ecbff", fontWeight: "600", padding: "4px 0" };
const BUTTON = {
  font: "inherit", color: "#ffffff", background: "transparent", border: "1px solid #8b949e",
  borderRadius: "6px", padding: "4px 10px", cursor: "pointer",
};

export class Banner {
  #document;
  #host = null;
  #text = null;
  #leads = "";

  constructor(document) {
    this.#document = document;
  }

  /**
   * Shows it, or changes its text. `leads` is what its link says. `prepare` is called with the link whenever somebody
   * may follow it soon, and `leave` when somebody does.
   */
  show(text, leads, { prepare, leave, dismiss }) {
    if (leads !== this.#leads) this.hide();
    if (this.#host) {
      if (this.#text.textContent !== text) this.#text.textContent = text;
      return;
    }
    this.#leads = leads;
    this.#host = this.#make("div", HOST);
    this.#host.dataset.edgemint = "notice";
    const panel = this.#make("div", PANEL);
    this.#text = this.#make("span", { flex: "1 1 100%" });
    // Named first and filled then, which is what screen readers announce.
    this.#text.setAttribute("role", "alert");
    panel.append(this.#text, this.#link(prepare, leave), this.#button(dismiss));
    panel.addEventListener("keydown", (event) => event.key === "Escape" && dismiss());
    this.#host.attachShadow({ mode: "open" }).append(panel);
    this.#document.documentElement.append(this.#host);
    this.#text.textContent = text;
  }

  hide() {
    this.#host?.remove();
    this.#host = null;
  }

  #link(prepare, leave) {
    const link = this.#make("a", LINK);
    link.textContent = this.#leads;
    prepare(link);
    // The address of the page changes while the banner stands there.
    for (const type of ["pointerdown", "focus", "click", "auxclick"]) link.addEventListener(type, () => prepare(link));
    // Enter is a click too; the middle button is not.
    for (const type of ["click", "auxclick"]) link.addEventListener(type, leave);
    return link;
  }

  #button(dismiss) {
    const button = this.#make("button", BUTTON);
    button.type = "button";
    button.textContent = "Dismiss";
    button.addEventListener("click", dismiss);
    return button;
  }

  #make(name, style) {
    const element = this.#document.createElementNS("http://www.w3.org/1999/xhtml", name);
    Object.assign(element.style, style);
    return element;
  }
}
