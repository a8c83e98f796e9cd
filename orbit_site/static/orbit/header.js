// The header's Halt, its clock, and the link of the page.

export function openHalt() {
  const dialog = document.querySelector("dialog#halt");
  if (!dialog || dialog.open) return;
  dialog.showModal();
  const namespace = dialog.querySelector("#halt-namespace");
  (namespace.value ? dialog.querySelector("#halt-reason") : namespace).focus();
}

export function openHaltInPlace() {
  document.querySelector("form.stop")?.addEventListener("submit", (event) => {
    event.preventDefault();
    openHalt();
  });
}

// The server's time goes on by this computer's clock, which may be wrong by itself.
export function runClock() {
  const clock = document.querySelector("#clock");
  if (!clock) return;
  const ahead = Date.parse(clock.dateTime) - Date.now();
  const format = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: clock.dataset.zone });
  setInterval(() => {
    if (!document.hidden) clock.textContent = format.format(new Date(Date.now() + ahead));
  }, 1000);
}

export function copyLink() {
  const place = document.querySelector("nav.crumbs");
  if (!place || !navigator.clipboard) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy link";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Link copied";
    } catch {
      button.textContent = "Not allowed: copy it from the address bar";
    }
    setTimeout(() => { button.textContent = "Copy link"; }, 3000);
  });
  place.append(button);
}
