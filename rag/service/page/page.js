// The page's two views and what starts them.

import { askAgain, prepareAsking } from "./ask.js";
import { prepareCosts, showCosts } from "./costs.js";
import { byId } from "./dom.js";
import { leaveEntrance, prepareEntrance } from "./entrance.js";
import { prepareSource } from "./source.js";

const TITLES = { ask: "Ask", costs: "Traffic and costs" };

function show(name, { moveFocus }) {
  leaveEntrance();
  for (const view of Object.keys(TITLES)) byId(`view-${view}`).hidden = view !== name;
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[name]} · frugal-rag`;
  if (name === "costs") showCosts();
  if (moveFocus) byId(`${name}-title`).focus();
  else if (name === "ask") byId("question").focus();
}

const named = () => (location.hash.slice(1) in TITLES ? location.hash.slice(1) : "ask");

prepareAsking();
prepareCosts();
prepareSource();
prepareEntrance(() => {
  if (named() === "ask") askAgain();
  else show("costs", { moveFocus: true });
});
window.addEventListener("hashchange", () => show(named(), { moveFocus: true }));
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
show(named(), { moveFocus: false });
