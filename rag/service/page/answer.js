// The answer with its citations, an abstention with the nearest sources, or a problem.

import { element } from "./dom.js";
import { openSource } from "./source.js";
import { counted, percent, trail } from "./words.js";

const flat = (text) => text.replace(/\s+/g, " ").trim();

export function answered(result) {
  const { short, short_form: form, confidence, groundedness } = result;
  return element("section", { class: "card good", "aria-labelledby": "answer-title" },
    element("h2", { id: "answer-title" }, "Answer"),
    short && headline(short, form),
    element("p", { class: "text" }, statements(result)),
    element("p", { class: "sure" },
      element("span", {}, `${percent(confidence)} sure that this answers it`),
      groundedness != null
        && element("span", {}, `${percent(groundedness)} supported by its sources`)));
}

function headline(short, form) {
  if (form === "list") {
    return element("ul", { class: "short" },
      short.split("; ").map((item) => element("li", {}, item)));
  }
  return element("p", { class: "short" }, form === "verdict" ? capital(short) : short);
}

const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

// An extracted answer is its first citation's sentence; only what a model wrote carries marks.
function statements({ answer, citations, model, short, short_form: form }) {
  const extracted = !model || flat(answer) === flat(citations[0]?.quote ?? "");
  if (extracted) {
    return [cited(answer, form === "phrase" ? short : null), " ", citations.map(mark)];
  }
  const pieces = answer.split(/((?:\s*\[\d+\])+)/);
  return pieces.map((piece, i) => {
    if (i % 2) return ["\u00a0", numbers(piece, citations)];
    const [lead] = piece.match(/^[\s.,;:!?]*/); // what still belongs to the sentence before
    return pieces[i + 1] ? [lead, cited(piece.slice(lead.length), null)] : piece;
  });
}

const numbers = (piece, citations) => [...piece.matchAll(/\[(\d+)\]/g)].map(([text, digits]) => {
  const source = citations[digits - 1];
  return source ? mark(source, digits - 1) : text;
});

function cited(text, short) {
  const at = short ? text.indexOf(short) : -1;
  if (at < 0) return element("span", { class: "cited" }, text);
  return element("span", { class: "cited" }, text.slice(0, at),
    element("mark", {}, short), text.slice(at + short.length));
}

const mark = (citation, i) => element("button", {
  type: "button", class: "cite", "aria-haspopup": "dialog",
  "aria-label": `Source ${i + 1}: ${citation.title}`, onclick: () => openSource(citation),
}, `${i + 1}`);

export function abstained(result) {
  const { reason, nearest } = result;
  return element("section", { class: "card even", "aria-labelledby": "answer-title" },
    element("h2", { id: "answer-title" }, "No answer"),
    element("p", { class: "text" }, "The documents do not answer this well enough to say so."),
    element("p", { class: "sure" }, `Reason: ${reason}.`),
    nearest.length > 0 && element("p", { class: "hint" },
      "The nearest sources stand below; none of them is given as an answer."));
}

export function sources({ abstained: none, citations, nearest, short_spans: spans }) {
  const found = none ? nearest : citations;
  if (!found.length) return null;
  const items = found.map((citation, i) => element("li", {}, card(citation, i, spans)));
  return element("section", { class: "sources", "aria-labelledby": "sources-title" },
    element("h2", { id: "sources-title" }, none ? "Nearest sources" : "Sources"),
    element("ol", {}, items));
}

function card(citation, i, spans) {
  const exact = i === 0 ? spans : [];
  return element("article", {},
    element("h3", {}, element("span", { class: "number", "aria-hidden": "true" }, `${i + 1}`),
      citation.title),
    trail(citation) && element("p", { class: "trail" }, trail(citation)),
    element("blockquote", {}, marked(citation, exact)),
    citation.also_in.length > 0 && element("p", { class: "hint" },
      `The same text stands in ${counted(citation.also_in.length, "other document", "other documents")}: `
      + `${citation.also_in.join(", ")}.`),
    element("button", {
      type: "button", "aria-haspopup": "dialog",
      "aria-label": `Open source ${i + 1} at the sentence: ${citation.title}`,
      onclick: () => openSource(citation),
    }, "Open at the sentence"));
}

// Offsets count characters; a string's own index counts a pair for some of them.
function marked({ quote, start, end }, spans) {
  const letters = Array.from(quote);
  const parts = [];
  let at = 0;
  for (const span of spans.filter((each) => start <= each.start && each.end <= end)) {
    const [first, last] = [span.start - start, span.end - start];
    if (first < at || (first === 0 && last === letters.length)) continue;
    parts.push(letters.slice(at, first).join(""),
      element("mark", {}, letters.slice(first, last).join("")));
    at = last;
  }
  return [...parts, letters.slice(at).join("")];
}

export function problem(error) {
  const { title, detail, field, value, remedy, after, id } = error;
  const wait = after ? ` It may be asked again in ${after} s.` : "";
  const lines = [
    detail && element("p", { class: "text" }, `${capital(detail)}.`),
    (field || value) && element("p", { class: "hint" }, [field, value].filter(Boolean).join(": ")),
    remedy && element("p", { class: "remedy" },
      element("strong", {}, "What to do: "), `${remedy}.${wait}`),
    id && element("p", { class: "hint" }, `Id of this fault: ${id}`),
  ];
  return element("section", { class: "card bad", role: "alert", "aria-labelledby": "problem-title" },
    element("h2", { id: "problem-title" }, title), lines);
}
