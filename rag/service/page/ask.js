// Asking: the form, the stream, and where the parts of a result go.

import { ask, Problem, read } from "./api.js";
import { abstained, answered, problem, sources } from "./answer.js";
import { byId, element, put } from "./dom.js";
import { refusedAtTheDoor } from "./entrance.js";
import { receipt, trace } from "./receipt.js";
import { amount, counted } from "./words.js";

let running = null;

export function prepareAsking() {
  const form = byId("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  byId("question").addEventListener("keydown", (event) => {
    const alone = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.isComposing;
    if (event.key !== "Enter" || !alone) return;
    event.preventDefault();
    form.requestSubmit();
  });
  byId("stop").addEventListener("click", () => running?.abort());
  byId("options").addEventListener("input", countChosen);
  countChosen();
  readiness();
}

const chosenFields = () => [...byId("options").querySelectorAll("input, select")]
  .filter((field) => field.value.trim() && field.value !== "auto");

function countChosen() {
  const count = chosenFields().length;
  byId("chosen").textContent = count ? `${count} set` : "";
}

async function readiness() {
  try {
    await read("readyz");
    put(byId("readiness"));
  } catch (error) {
    put(byId("readiness"), problem(error));
  }
}

// Asks again what was refused for want of a key.
export function askAgain() {
  if (byId("question").value.trim()) submit();
  byId("question").focus();
}

async function submit() {
  running?.abort();
  const wrong = checked();
  if (wrong) {
    finish("", [problem(wrong.problem)]);
    wrong.field.focus();
    return;
  }
  const mine = new AbortController();
  running = mine;
  begin();
  try {
    const result = await ask(body(), say, mine.signal);
    if (running === mine) succeed(result);
  } catch (error) {
    if (running !== mine) return;
    if (error.name === "AbortError") finish("Stopped.", []);
    else if (refusedAtTheDoor(error)) finish("Not asked yet: a key is needed.", []);
    else {
      finish("", [problem({ ...error, field: faulty(error) })]);
    }
  } finally {
    if (running === mine) running = null;
  }
}

// The browser's own bubbles vanish and cannot open the options, so the page says it itself.
function checked() {
  for (const field of byId("form").querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
  }
  const fields = [byId("question"), byId("budget"), byId("frugality")];
  for (const field of fields) {
    const wrong = !field.checkValidity() || (field.required && !field.value.trim());
    if (wrong) field.setAttribute("aria-invalid", "true");
  }
  const field = fields.find((each) => each.hasAttribute("aria-invalid"));
  if (!field) return null;
  if (field.closest("details")) byId("options").open = true;
  const empty = field.required;
  return {
    field,
    problem: new Problem(0, {
      title: empty ? "There is no question" : `${field.labels[0].textContent} is out of bounds`,
      remedy: empty
        ? "write what you want to know, then press Enter"
        : `use a number from ${field.min} to ${field.max}`,
    }),
  };
}

const NAMES = { budget_tokens: "budget", body: "question" };

// Returns what the page calls a field of the interface, and marks it; such as filter.since.
function faulty({ field: name }) {
  const last = name?.replace(/^filter\./, "").split(".")[0];
  const field = last && byId("form").querySelector(`#${CSS.escape(NAMES[last] ?? last)}`);
  if (!field) return name;
  field.setAttribute("aria-invalid", "true");
  if (field.closest("details")) byId("options").open = true;
  return field.labels[0].textContent;
}

function body() {
  const text = (id) => byId(id).value.trim();
  const list = (id) => text(id).split(",").map((each) => each.trim()).filter(Boolean);
  const filter = {
    ...(list("tags").length && { tags: list("tags") }),
    ...(list("documents").length && { documents: list("documents") }),
    ...(text("since") && { since: text("since") }),
    ...(text("until") && { until: text("until") }),
  };
  return {
    question: text("question"),
    trace: true,
    generate: text("generate"),
    ...(text("budget") && { budget_tokens: Number(text("budget")) }),
    ...(text("frugality") && { frugality: Number(text("frugality")) }),
    ...(text("tenant") && { tenant: text("tenant") }),
    ...(Object.keys(filter).length && { filter }),
  };
}

function begin() {
  byId("answer").setAttribute("aria-busy", "true");
  byId("stop").hidden = false;
  byId("result").classList.add("waiting");
  byId("status").textContent = "Looking in your documents…";
  clear();
}

const clear = () => ["answer", "sources", "receipt", "trace"].forEach((id) => put(byId(id)));

// What a model writes appears as it comes; it is announced once it is whole.
function say(piece) {
  const text = byId("written");
  if (text) text.append(piece);
  else {
    put(byId("answer"), element("section", { class: "card good", "aria-labelledby": "answer-title" },
      element("h2", { id: "answer-title" }, "Answer"),
      element("p", { class: "text", id: "written" }, piece)));
    byId("status").textContent = "Writing…";
  }
}

function succeed(result) {
  const count = result.citations.length;
  const said = result.abstained
    ? "No answer was found"
    : `Answered from ${counted(count, "source", "sources")}`;
  finish(`${said} in ${amount(result.seconds, "s")}.`,
    [result.abstained ? abstained(result) : answered(result)]);
  put(byId("sources"), sources(result));
  put(byId("receipt"), receipt(result));
  put(byId("trace"), trace(result.trace));
}

function finish(status, parts) {
  byId("stop").hidden = true;
  byId("result").classList.remove("waiting");
  clear();
  put(byId("answer"), parts);
  byId("answer").setAttribute("aria-busy", "false");
  byId("status").textContent = status;
}
