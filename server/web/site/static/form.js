// The form: reads the fields into a record, asks this door, and shows the answer, or next to each field what is wrong.
"use strict";

const $ = (id) => document.getElementById(id);
const form = $("form"), panel = $("answer");
const fields = [...form.querySelectorAll("[data-control]")];
const { key, task, unit } = panel.dataset;
const derived = JSON.parse(panel.dataset.derived); // name -> [help, unit, labels], of parts and derived features
const SHOWN = 8; // bars; the rest is added up in one more
const WAIT = 15000; // milliseconds

// Four digits have no comma, because they may be a year.
const decimal = (most) => new Intl.NumberFormat("en", { maximumFractionDigits: most, useGrouping: "min2" });
const percent = (share) => {
  const hundredths = share * 100;
  if (hundredths > 0 && hundredths < 0.1) return "under 0.1\u00a0%";
  if (hundredths < 100 && hundredths > 99.9) return "over 99.9\u00a0%";
  return `${hundredths.toFixed(1)}\u00a0%`;
};
const figure = (value) => (task === "multiclass" ? String(value) : task === "binary" ? percent(value) : decimal(task === "amount" && value < 1000 ? 2 : 0).format(value));
const inWords = (value) => (unit ? `${figure(value)} ${unit}` : figure(value));

// --- the record -----------------------------------------------------------------------------------------------

function valueOf(field) {
  const text = field.value.trim();
  if (text === "") return field.dataset.required === "1" ? null : undefined; // undefined: left out of the JSON
  if (field.dataset.control === "choice") return JSON.parse(text);
  if (["date", "datetime", "text"].includes(field.dataset.control)) return text;
  const plain = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(Number(text));
  return plain ? Number(text) : text; // what is not a number is sent as it was typed: the door says what is allowed
}

// People use this page to try the model, so what it sends is stored, but counted in no figure.
const record = () => ({ ...Object.fromEntries(fields.map((f) => [f.name, valueOf(f)])), test: true });

// A datetime as the control holds it: to the second, without an offset.
const local = (text) => text.replace(" ", "T").replace(/^(.{16}(:\d\d)?).*/, "$1");

function fill(values) {
  for (const field of fields) {
    const value = values[field.name] ?? null;
    const { control } = field.dataset;
    const text = control === "choice" ? JSON.stringify(value) : control === "datetime" ? local(String(value)) : String(value);
    field.value = value === null ? "" : text;
    if (field.closest("details") && value !== null) $("fold").open = true;
  }
}

// --- asking ---------------------------------------------------------------------------------------------------

async function ask(path, body) {
  const request = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, { ...request, signal: AbortSignal.timeout(WAIT) });
  return { ok: response.ok, status: response.status, body: await response.json() };
}

async function predict() {
  const input = record();
  const answer = await ask("predict", input);
  clearErrors();
  if (!answer.ok) return refuse(answer);
  show(answer.body);
  const { prediction_id } = answer.body; // so that both answers are kept as one prediction
  explain(await ask("explain", { ...input, prediction_id }));
}

async function attempt(doing, button) {
  button.setAttribute("aria-busy", "true");
  try {
    await doing();
  } catch {
    trouble("The scorer is not responding. Your input is still here: try again.");
  } finally {
    button.removeAttribute("aria-busy");
  }
}

// --- what is wrong --------------------------------------------------------------------------------------------

function clearErrors() {
  for (const field of fields) {
    field.removeAttribute("aria-invalid");
    $(`e-${field.id.slice(2)}`).hidden = true;
  }
  trouble("");
}

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

function refuse({ status, body }) {
  const errors = status === 422 && Array.isArray(body.errors) ? body.errors : [];
  const bad = [];
  for (const error of errors) {
    const field = fields.find((f) => f.name === error.field);
    if (!field) continue;
    const note = $(`e-${field.id.slice(2)}`);
    note.textContent = `Should be ${error.allowed.replace(/, or null$/, ", or empty")}.`;
    note.hidden = false;
    field.setAttribute("aria-invalid", "true");
    bad.push(field);
  }
  panel.classList.add("stale");
  const count = bad.length === 1 ? "One field is" : `${bad.length} fields are`;
  trouble(bad.length ? `${count} invalid: see the ${bad.length === 1 ? "note below it" : "notes below them"}.` : body.detail);
  if (bad.some((f) => f.closest("details"))) $("fold").open = true;
  if (bad.length) bad[0].focus();
}

// --- the answer -----------------------------------------------------------------------------------------------

function show(answer) {
  const value = answer[key];
  panel.classList.remove("stale");
  $("empty").hidden = true;
  $("result").hidden = false;
  $("value").replaceChildren(figure(value), element("small", "", unit && ` ${unit}`));
  if (task === "binary") $("fill").style.width = `${value * 100}%`;
  if (answer.chances) $("chances").replaceChildren(...chancesOf(answer.chances).map(chance));
  $("prediction_id").textContent = answer.prediction_id;
  if (panel.getBoundingClientRect().top > innerHeight * 0.6) panel.scrollIntoView({ block: "start" });
}

// The likeliest classes first; what is beyond SHOWN is added up in one more.
function chancesOf(chances) {
  const ordered = Object.entries(chances).sort(([, a], [, b]) => b - a);
  const rest = ordered.slice(SHOWN);
  const together = rest.reduce((sum, [, share]) => sum + share, 0);
  return rest.length > 1 ? [...ordered.slice(0, SHOWN), [`${rest.length} other classes together`, together]] : ordered;
}

function chance([name, share]) {
  const item = element("li", ""), what = element("div", "what"), scale = element("div", "scale"), part = element("div", "fill");
  part.style.width = `${share * 100}%`;
  scale.setAttribute("aria-hidden", "true");
  what.append(element("span", "", name), element("span", "", percent(share)));
  scale.append(part);
  item.append(what, scale);
  return item;
}

function explain({ ok, status, body }) {
  $("why").hidden = !ok;
  $("unexplained").hidden = ok;
  if (!ok) {
    $("unexplained").textContent = status === 404 ? "Predictions of this type of model cannot be explained." : body.detail;
    return;
  }
  const back = { "log-odds": (b) => 1 / (1 + Math.exp(-b)), logarithm: Math.exp }[body.scale] ?? ((b) => b);
  $("base").textContent = body.chances
    ? `Each field makes ${inWords(body[key])} more or less likely, compared with the other classes.`
    : `The average answer is ${inWords(back(body.base))}; each field moves it up or down.`;
  $("scale").textContent =
    body.scale === "as answered" ? "" : `Bars are in ${{ logarithm: "the logarithm of the amount", "logarithm of the chance": "the logarithm of the chance", "before rounding": "the class before it is rounded" }[body.scale] ?? body.scale}.`;
  const moved = body.contributions.filter((c) => c.contribution !== 0);
  const bars = moved.slice(0, SHOWN).map((c) => [nameOf(c.feature), saidOf(c), c.contribution]);
  const rest = moved.slice(SHOWN);
  if (rest.length === 1) bars.push([nameOf(rest[0].feature), saidOf(rest[0]), rest[0].contribution]);
  if (rest.length > 1) bars.push([`${rest.length} other fields together`, "", rest.reduce((sum, c) => sum + c.contribution, 0)]);
  const widest = Math.max(...bars.map(([, , push]) => Math.abs(push)));
  $("bars").replaceChildren(...bars.map((one) => bar(...one, widest)));
}

const nameOf = (feature) => fields.find((f) => f.name === feature)?.labels[0]?.textContent ?? derived[feature]?.[0] ?? feature;

function saidOf({ feature, value }) {
  if (value === null) return "not known";
  const field = fields.find((f) => f.name === feature);
  const chosen = field && [...(field.options ?? [])].find((o) => o.value === JSON.stringify(value));
  if (chosen) return chosen.textContent;
  const [, unitOf, labels] = derived[feature] ?? [];
  if (labels?.[value] !== undefined) return labels[value];
  const text = typeof value === "number" ? decimal(3).format(value) : String(value);
  return `${text} ${field?.dataset.unit ?? unitOf ?? ""}`.trim();
}

function element(tag, className, text = "") {
  const created = document.createElement(tag);
  created.className = className;
  created.textContent = text;
  return created;
}

function bar(name, said, push, widest) {
  const item = element("li", ""), what = element("div", "what"), track = element("div", "track");
  const pushed = element("div", push > 0 ? "push up" : "push down");
  pushed.style.width = `${(Math.abs(push) / widest) * 50}%`;
  track.setAttribute("role", "img");
  track.setAttribute("aria-label", `${push > 0 ? "raises" : "lowers"} the answer by ${decimal(2).format(Math.abs(push))}`);
  what.append(element("span", "", name), element("span", "", said));
  track.append(pushed);
  item.append(what, track);
  return item;
}

// --- what a person does ---------------------------------------------------------------------------------------

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(predict, $("predict"));
});
form.addEventListener("input", () => panel.classList.add("stale"));
form.addEventListener("reset", () => {
  clearErrors();
  panel.classList.add("stale");
});
$("random").addEventListener("click", () =>
  attempt(async () => {
    const example = await ask("example");
    if (!example.ok) return refuse(example);
    fill(example.body);
    await predict();
  }, $("random")),
);
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("prediction_id").textContent);
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
});
for (const mark of document.querySelectorAll("[data-at]")) mark.style.left = `${mark.dataset.at * 100}%`;
for (const near of document.querySelectorAll("[data-near]"))
  near.style.left = `clamp(4rem, ${near.dataset.near * 100}%, 100% - 4rem)`; // as near as the panel's edge allows
for (const cell of document.querySelectorAll("[data-share]")) cell.style.setProperty("--share", cell.dataset.share);
