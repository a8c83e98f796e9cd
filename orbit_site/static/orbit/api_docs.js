// Starts Swagger UI over our own document. Nothing is asked of another host.

const READS = new Set(["get", "head", "options"]);
const place = document.querySelector("#reference");

// Resolves to true if the user sends the request.
function agrees(call, withToken) {
  const dialog = document.querySelector("#ask");
  dialog.querySelector("#ask-call").textContent = `${call.method.toUpperCase()} ${call.path}`;
  dialog.querySelector("#ask-identity").textContent = withToken
    ? "It is sent with the token that you entered."
    : "It is sent with your console session.";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "send"), { once: true });
  });
}

// "Execute" of a request that changes something asks first.
function askFirst() {
  return {
    wrapComponents: {
      execute: (Execute, system) => (props) => {
        const execute = async (call) => {
          const withToken = system.authSelectors.authorized()?.size > 0;
          if (!READS.has(call.method) && !(await agrees(call, withToken))) return;
          props.onExecute?.();
          props.specActions.execute(call);
        };
        const specActions = { ...props.specActions, execute };
        return system.React.createElement(Execute, { ...props, specActions, onExecute: undefined });
      },
    },
  };
}

// Controls have names, and no link is inside of a button.
function accessible() {
  const labelled = (Control, { React }) => (props) =>
    React.createElement(
      "label",
      null,
      React.createElement("span", { className: "visually-hidden" }, props.description),
      React.createElement(Control, props),
    );
  return {
    wrapComponents: {
      DeepLink: (_, { React }) => ({ text }) => React.createElement("span", null, text),
      JsonSchema_string: labelled,
      JsonSchema_boolean: labelled,
      TextArea: (TextArea, { React }) => (props) =>
        React.createElement(TextArea, { "aria-label": "Request body", ...props }),
      CloseIcon: (CloseIcon, { React }) => (props) =>
        React.createElement(
          React.Fragment,
          null,
          React.createElement("span", { className: "visually-hidden" }, "Close"),
          React.createElement(CloseIcon, props),
        ),
      ServersContainer: () => () => null, // there is one
    },
  };
}

// A session needs the token of its forms; a request with an API token doesn't.
function addCsrfToken(request) {
  const reads = READS.has((request.method ?? "get").toLowerCase());
  if (!reads && !request.headers.Authorization) request.headers["X-CSRFToken"] = place.dataset.csrf;
  return request;
}

function followTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const theme = localStorage.getItem("theme");
    const isDark = theme === "dark" || (theme !== "light" && dark.matches);
    document.documentElement.classList.toggle("dark-mode", isDark);
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  };
  apply();
  dark.addEventListener("change", apply);
}

followTheme();
window.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.schema,
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: false,
  syntaxHighlight: false,
  plugins: [accessible, askFirst],
  requestInterceptor: addCsrfToken,
});
