// Fills the page from what the server says of itself, and asks for predictions as any client would. Text reaches the page
// through textContent only: names of features and classes are the model author's.
"use strict";

const $ = (id) => document.getElementById(id);
const KINDS = { BYTES: "text", BOOL: "text" };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { headers: { accept: "application/json" }, ...options });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error || `the server answers ${answer.status}`);
  return body;
}

// The columns a form can ask for: a table of named or counted features. Null for everything else.
function columns(model, example) {
  const row = Array.isArray(example.X) ? example.X[0] : undefined;
  if (row === undefined) return null;
  if (!Array.isArray(row)) return typeof row === "object" ? null : [{ name: "X", type: typeof row === "string" ? "text" : "number" }];
  if (row.length > 64) return null;
  const named = model.inputs.length === row.length && row.length > 1;
  return row.map((value, index) => ({
    name: named ? model.inputs[index].name : `feature ${index}`,
    type: named ? KINDS[model.inputs[index].datatype] || "number" : typeof value === "string" ? "text" : "number",
  }));
}

function showFields(fields, example) {
  const row = example.X ? [].concat(example.X[0]) : [];
  $("fields").replaceChildren(
    ...fields.map((field, index) => {
      const input = element("input", { type: field.type, name: String(index), value: row[index] ?? "", step: "any" });
      return element("label", {}, field.name, input);
    }),
  );
}

function requestOf(fields, flat) {
  const inputs = [...$("fields").querySelectorAll("input")];
  const row = fields.map((field, index) => {
    const text = inputs[index].value;
    if (text === "") return null;
    return field.type === "number" ? Number(text) : text;
  });
  return { X: flat ? row : [row] };
}

function shown(value) {
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(6))) : String(value);
}

function showAnswer(body, seconds) {
  const { y_pred: predictions, y_proba: probabilities, classes } = body;
  const parts = [];
  if (Array.isArray(predictions) && predictions.length === 1 && !Array.isArray(predictions[0])) {
    parts.push(element("p", { className: "prediction", textContent: shown(predictions[0]) }));
  } else {
    parts.push(element("pre", { textContent: JSON.stringify(body, null, 1) }));
  }
  if (probabilities && Array.isArray(probabilities[0]) && predictions.length === 1) {
    const rows = probabilities[0].map((value, index) =>
      element("tr", {},
        element("td", { textContent: classes ? shown(classes[index]) : String(index) }),
        element("td", {}, element("meter", { value, min: 0, max: 1, title: String(value) })),
        element("td", { textContent: shown(value) })));
    parts.push(element("table", {}, element("tbody", {}, ...rows)));
  }
  parts.push(element("p", { className: "took", textContent: `answered in ${(seconds * 1000).toFixed(1)} ms` }));
  $("answer").replaceChildren(...parts);
}

async function predict() {
  const path = $("probabilities").hidden || !$("proba").checked ? "predict" : "predict?proba=1";
  const started = performance.now();
  try {
    const headers = { "content-type": "application/json", accept: "application/json" };
    const body = await ask(path, { method: "POST", body: $("body").value, headers });
    showAnswer(body, (performance.now() - started) / 1000);
  } catch (problem) {
    $("answer").replaceChildren(element("p", { className: "problem", textContent: problem.message }));
  }
}

function showFacts(model, server) {
  const { digest, uri, format, versions = {}, warnings = [], acceleration } = model.parameters || {};
  const libraries = Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ");
  const facts = {
    format, engine: acceleration && acceleration.engine, "from": uri, digest, libraries,
    inputs: model.inputs.map((one) => `${one.name} ${one.datatype} [${one.shape}]`).slice(0, 64).join(", "),
    outputs: model.outputs.map((one) => `${one.name} ${one.datatype} [${one.shape}]`).join(", "),
    server: server.server,
  };
  for (const [word, value] of Object.entries(facts)) {
    if (value) $("facts").append(element("dt", { textContent: word }), element("dd", { textContent: value }));
  }
  $("warnings").append(...warnings.map((text) => element("li", { textContent: text })));
}

async function begin() {
  const server = await ask("./");
  document.title = $("name").textContent = server.model;
  if (server.stage !== "Ready") {
    $("stage").textContent = `not ready: ${server.stage}`;
    setTimeout(() => begin().catch(fail), 2000);
    return;
  }
  const [model, openapi] = await Promise.all([ask(`v2/models/${encodeURIComponent(server.model)}`), ask("openapi.json")]);
  const content = openapi.paths["/predict"].post.requestBody.content["application/json"];
  const example = content.example;
  const fields = columns(model, example);
  const flat = Array.isArray(example.X) && !Array.isArray(example.X[0]);
  showFacts(model, server);
  $("probabilities").hidden = !model.outputs.some((output) => output.name === "predict_proba");
  $("body").value = JSON.stringify(example);
  $("raw").open = fields === null;
  if (fields !== null) {
    showFields(fields, example);
    $("fields").addEventListener("input", () => { $("body").value = JSON.stringify(requestOf(fields, flat)); });
  }
  $("curl").textContent =
    `curl -s -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(example)}' \\\n  ${new URL("predict", location.href)}`;
  $("metadata").href = `v2/models/${encodeURIComponent(server.model)}`;
  $("form").addEventListener("submit", (event) => { event.preventDefault(); predict(); });
  $("stage").textContent = "ready";
  document.querySelector("main").hidden = false;
  await predict(); // the example's answer shows at a glance what comes back
}

function fail(problem) {
  $("stage").textContent = problem.message;
}

begin().catch(fail);
