// Live parts, by htmx's polling. Rows never move under the reader: new ones wait behind a button.

const SPEAK_EVERY = 10_000;
const NOTHING_NEW = 204;
const OPEN = "dialog[open], :popover-open, nav.filters details[open]";
const CHOSEN = "tr input[type=checkbox]:checked";
// Milliseconds. Looked at every second, and a halt shows within five.
const BANNERS_LAST = 3500;
let spokeAt = 0;
let bannersAt = Date.now();

const parse = (html) => new DOMParser().parseFromString(html, "text/html");
const isElsewhere = (xhr) => xhr.status !== 200 || xhr.responseURL.includes("/login/");

// The server sends nothing while what has this look would look the same.
function keepLook(place, look) {
  if (look) place.setAttribute("hx-headers", JSON.stringify({ "X-Look": look }));
  else place.removeAttribute("hx-headers");
}

// Ask for the banners, unless the page's own answers bring them.
export function keepBannersFresh() {
  const place = document.querySelector("#banners");
  if (!place) return;
  place.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target === place) bannersAt = Date.now();
  });
  place.addEventListener("htmx:afterRequest", ({ detail: { xhr } }) => {
    if (isElsewhere(xhr) || !showBanners(parse(xhr.responseText))) return;
    // What the page shows now, it didn't get at once.
    const page = document.querySelector("#live");
    if (page) keepLook(page, null);
  });
  setInterval(() => {
    if (document.hidden || place.contains(document.activeElement)) return;
    if (Date.now() - bannersAt >= BANNERS_LAST) place.dispatchEvent(new Event("stale"));
  }, 1000);
}

// Shows the banners of an answer, if it has them. What says the same stays: a screen reader would say it again.
// Others speak every ten seconds at most.
function showBanners(page) {
  const [place, answer] = [document.querySelector("#banners"), page.querySelector("#fresh-banners")];
  if (!place || !answer || place.contains(document.activeElement)) return false;
  bannersAt = Date.now();
  keepLook(place, answer.dataset.look);
  const [old, fresh] = [place, answer].map((each) => each.querySelector("aside"));
  if (!fresh || !old) {
    if (fresh || old) place.replaceChildren(...(fresh ? [quieten(fresh)] : []));
    return true;
  }
  const kept = [...old.children];
  for (const banner of [...fresh.children]) {
    const same = kept.find((each) => each.textContent === banner.textContent);
    if (same) banner.replaceWith(same);
    else quieten(banner);
  }
  old.replaceChildren(...fresh.children);
  return true;
}

function quieten(node) {
  if (Date.now() - spokeAt < SPEAK_EVERY) {
    for (const each of [node, ...node.querySelectorAll("[role=status]")]) each.setAttribute("aria-live", "off");
  } else {
    spokeAt = Date.now();
  }
  return node;
}

function isInUse(place) {
  const typed = [...place.querySelectorAll("input:not([type=checkbox]), textarea")].some((input) => input.value !== input.defaultValue);
  const scrolled = [...place.querySelectorAll(".scroll, pre")].some((box) => box.scrollLeft || box.scrollTop);
  const isFocused = place.contains(document.activeElement);
  return typed || scrolled || isFocused || place.querySelector("tr:hover, a:hover, button:hover") || !document.getSelection().isCollapsed;
}

// Shows how old the page is, and lets the reader stop it.
class Freshness {
  constructor(control, every) {
    this.box = control.querySelector("input");
    this.words = control.querySelector("span");
    this.button = control.querySelector("button");
    this.control = control;
    this.every = every;
    this.button.addEventListener("click", () => location.reload());
    control.hidden = false;
    this.mark();
    setInterval(() => this.say(), 1000);
  }

  mark() { this.at = Date.now(); this.say(); }

  say() {
    const seconds = Math.round((Date.now() - this.at) / 1000);
    this.words.textContent = `updated ${seconds} s ago`;
    this.words.className = this.box.checked && seconds > 3 * this.every ? "late" : "";
  }

  offer(number) {
    this.button.hidden = number === 0;
    this.button.textContent = `${number} new, show`;
  }

  end() { this.control.hidden = true; }
}

// Calls use(page, freshness) with each new look; it returns false after the last one.
function poll(place, every, use, isFree = () => true) {
  const control = document.querySelector("#fresh");
  if (!control) return;
  const freshness = new Freshness(control, every);
  let ended = false;
  const attributes = { "hx-get": location.pathname + location.search, "hx-trigger": `every ${every}s`, "hx-swap": "none", "hx-sync": "this:drop", "hx-params": "none" };
  for (const [name, value] of Object.entries(attributes)) place.setAttribute(name, value);
  keepLook(place, place.dataset.look);
  place.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target !== place) return;
    if (ended || document.hidden || !freshness.box.checked || document.querySelector(OPEN) || !isFree()) event.preventDefault();
  });
  place.addEventListener("htmx:afterRequest", (event) => {
    if (event.target !== place) return;
    const { xhr } = event.detail;
    if (xhr.status === NOTHING_NEW) {
      freshness.mark();
      bannersAt = Date.now();
    }
    if (isElsewhere(xhr) || !isFree()) return;
    const page = parse(xhr.responseText);
    keepLook(place, showBanners(page) ? page.querySelector("#live")?.dataset.look : null);
    if (!use(page, freshness)) {
      ended = true;
      freshness.end();
    }
  });
}

// A page's parts with "data-live", as often as "data-every" says, until the page has none any more.
function keepPartsFresh(place) {
  const isFree = () => ![...document.querySelectorAll("[data-live]")].some(isInUse) && !document.querySelector(CHOSEN);
  poll(place, Number(place.dataset.every), (page, freshness) => {
    freshness.mark();
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (fresh && fresh.innerHTML !== old.innerHTML) old.replaceChildren(...fresh.childNodes);
    }
    return page.querySelector("#live[data-every]") !== null;
  }, isFree);
}

// A list: its rows change in place, but not while the reader uses them; new ones are counted.
function keepListFresh(form) {
  const rowsOf = (page) => new Map([...page.querySelectorAll("#result_list tbody tr")].map((row) => [row.querySelector("th a, td a")?.getAttribute("href") ?? row.textContent, row]));
  const isFree = () => !isInUse(form) && !form.querySelector(CHOSEN);
  poll(form, 15, (page, freshness) => {
    const [old, fresh] = [rowsOf(document), rowsOf(page)];
    if (isFree()) {
      for (const [key, row] of fresh) {
        const same = old.get(key);
        if (same && same.innerHTML !== row.innerHTML) same.replaceChildren(...row.childNodes);
      }
      freshness.mark();
    }
    freshness.offer([...fresh.keys()].filter((key) => !old.has(key)).length);
    return true;
  });
}

export function keepPageFresh() {
  const place = document.querySelector("#live[data-every]");
  const list = document.querySelector("#changelist-form");
  if (place) keepPartsFresh(place);
  else if (list && !new URLSearchParams(location.search).has("p")) keepListFresh(list);
}
