// Keeps what was typed into a form that met a log-in page or an error page instead of its answer.
// It comes back only to the user who typed it, in the same tab. A log-out, or another user, ends it.

const KEY = "orbit.draft";
const FIELDS = "textarea, select, input:not([type=hidden], [type=password], [type=submit], [type=file])";

const userOf = (page) => page.querySelector("[data-user]")?.dataset.user;
const fieldsOf = (form) => [...form.querySelectorAll(FIELDS)].filter((field) => field.name);

function save(form) {
  const values = fieldsOf(form).map((field) => [field.name, field.value, field.checked ?? null]);
  const draft = { user: userOf(document), path: location.pathname, form: form.id || form.className, values, interrupted: false };
  sessionStorage.setItem(KEY, JSON.stringify(draft));
}

function restore(draft) {
  const form = [...document.querySelectorAll("#content form[method=post]")].find((each) => (each.id || each.className) === draft.form);
  if (!form) return;
  const fields = fieldsOf(form);
  for (const [name, value, checked] of draft.values) {
    const index = fields.findIndex((field) => field.name === name && (!["checkbox", "radio"].includes(field.type) || field.value === value));
    if (index < 0) continue;
    const [field] = fields.splice(index, 1);
    if (["checkbox", "radio"].includes(field.type)) field.checked = checked;
    else field.value = value;
  }
  const note = document.createElement("p");
  note.className = "note";
  note.setAttribute("role", "status");
  note.textContent = "What you typed before is back. It was not sent: check it and send it again.";
  form.prepend(note);
}

export function keepDrafts() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.id === "logout-form") sessionStorage.removeItem(KEY);
    if (form.method === "post" && form.closest("#content") && form.id !== "login-form") save(form);
  });
  const draft = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  if (!draft) return;
  if (document.querySelector("#login-form, main.fault")) {
    sessionStorage.setItem(KEY, JSON.stringify({ ...draft, interrupted: true }));
    return;
  }
  const isAnothers = userOf(document) && userOf(document) !== draft.user;
  if (!isAnothers && draft.interrupted && draft.path !== location.pathname) return;
  sessionStorage.removeItem(KEY);
  if (!isAnothers && draft.interrupted) restore(draft);
}

if (document.querySelector("main.fault")) keepDrafts();
