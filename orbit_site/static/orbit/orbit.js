// What pages do beyond their links and forms. Without scripts everything works: Halt leads to its page, banners come with each page.

const BANNERS_EVERY = 4000;

function openHaltInPlace() {
  const opener = document.querySelector("form.stop");
  const dialog = document.querySelector("dialog#halt");
  if (!opener || !dialog || !dialog.showModal) return;
  opener.addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.showModal();
    const namespace = dialog.querySelector("#halt-namespace");
    (namespace.value ? dialog.querySelector("#halt-reason") : namespace).focus();
  });
}

function keepBannersFresh() {
  const place = document.querySelector("#banners");
  if (!place) return;
  const timer = setInterval(async () => {
    if (document.hidden || place.contains(document.activeElement)) return;
    try {
      const answer = await fetch(place.dataset.from, { headers: { Accept: "text/html" } });
      if (answer.redirected || answer.status === 403) return clearInterval(timer);
      if (!answer.ok) return;
      const fresh = document.createElement("template");
      fresh.innerHTML = await answer.text();
      // What says the same stays: a screen reader would say it again.
      if (fresh.content.textContent.trim() !== place.textContent.trim()) place.replaceChildren(fresh.content);
    } catch {
      // The server is away: the next look tells.
    }
  }, BANNERS_EVERY);
}

// Rows must not change under the reader's pointer, focus or selection.
function isInUse(place) {
  const typed = [...place.querySelectorAll("input")].some((input) => input.value !== input.defaultValue);
  const scrolled = [...place.querySelectorAll(".scroll, pre")].some((box) => box.scrollLeft || box.scrollTop);
  return typed || scrolled || place.querySelector("tr:hover, a:hover, button:hover") || place.contains(document.activeElement) || !document.getSelection().isCollapsed;
}

// Reads the page again, as its "data-every" says in seconds, and replaces its parts with "data-live".
function keepPageFresh() {
  const place = document.querySelector("#live[data-every]");
  const control = document.querySelector("#fresh");
  if (!place || !control) return;
  const [box, words] = [control.querySelector("input"), control.querySelector("span")];
  const say = () => { words.textContent = `as of ${new Date().toISOString().slice(11, 19)} UTC`; };
  say();
  control.hidden = false;
  const timer = setInterval(async () => {
    if (document.hidden || !box.checked || isInUse(place)) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected || [403, 404].includes(answer.status)) return clearInterval(timer);
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (isInUse(place)) return;
      for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(old.id);
        if (fresh && fresh.innerHTML !== old.innerHTML) old.replaceChildren(...fresh.childNodes);
      }
      say();
      if (page.querySelector("#live[data-every]")) return;
      clearInterval(timer);
      control.hidden = true;
    } catch {
      // The server is away: the time beside the box says so.
    }
  }, Number(place.dataset.every) * 1000);
}

openHaltInPlace();
keepBannersFresh();
keepPageFresh();
