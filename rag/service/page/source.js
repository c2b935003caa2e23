// A source opened at the cited sentence, in a dialog that gives the focus back when it closes.

import { send } from "./api.js";
import { byId, element, put } from "./dom.js";
import { trail } from "./words.js";

const WHY = "The text around the sentence cannot be shown, only the sentence itself";
let opened = 0;

export async function openSource(citation) {
  const turn = ++opened;
  byId("source-title").textContent = citation.title;
  byId("source-trail").textContent = [citation.doc_id, trail(citation)].filter(Boolean).join(" › ");
  byId("source-note").textContent = "Opening the text around the sentence…";
  show({ before: "", quote: citation.quote, after: "" });
  byId("source").showModal();
  try {
    const passage = await send("v1/sources", asked(citation));
    if (turn !== opened) return;
    byId("source-note").textContent = "";
    show(split(passage, citation));
  } catch (error) {
    if (turn !== opened) return;
    const remedy = error.status && error.status !== 404 ? `: ${error.detail}. ${error.remedy}` : "";
    byId("source-note").textContent = `${WHY}${remedy}.`;
  }
  atTheSentence();
}

function asked({ doc_id, quote, start, end }) {
  const tenant = byId("tenant").value.trim();
  return { doc_id, quote, start, end, ...(tenant && { tenant }) };
}

// Offsets count characters; a string's own index counts a pair for some of them.
function split({ text, start }, citation) {
  const letters = Array.from(text);
  const [first, last] = [citation.start - start, citation.end - start];
  return {
    before: letters.slice(0, first).join(""),
    quote: letters.slice(first, last).join(""),
    after: letters.slice(last).join(""),
  };
}

function show({ before, quote, after }) {
  put(byId("source-text"), before, element("mark", { id: "sentence", tabindex: -1 }, quote), after);
}

function atTheSentence() {
  const sentence = byId("sentence");
  sentence.scrollIntoView({ block: "center" });
  sentence.focus({ preventScroll: true });
}

export function prepareSource() {
  const dialog = byId("source");
  byId("source-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside the sheet
  });
}
