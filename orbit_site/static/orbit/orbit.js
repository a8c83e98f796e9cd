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

openHaltInPlace();
keepBannersFresh();
