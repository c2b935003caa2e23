// The key of whoever asks: it is asked for once the service does, and kept in the page's memory
// only. It travels in a header, never in an address.

import { byId } from "./dom.js";

let key = "";

export const keyHeader = () => (key ? { Authorization: `Bearer ${key}` } : {});

// What is said of a refusal that is a matter of keys; else nothing.
function reason({ status, message, remedy }) {
  if (status === 401) return key ? "This key is not valid" : "This service asks for a key";
  if (status !== 403 || !key) return "";
  const said = [message, remedy].filter(Boolean).join(": ");
  return `${said.slice(0, 1).toUpperCase()}${said.slice(1)}`;
}

// Returns whether a refusal is a matter of keys; then one is asked for.
export function refusedAtTheDoor(error) {
  const title = reason(error);
  if (!title) return false;
  byId("entrance-title").textContent = title;
  if (key) byId("key").setAttribute("aria-invalid", "true");
  byId("entrance").hidden = false;
  byId("key").focus();
  byId("key").select();
  return true;
}

// In another view the key may be good for what is asked there.
export function leaveEntrance() {
  byId("entrance").hidden = true;
}

// `entered` is called with each key that is typed in, to ask again what was refused.
export function prepareEntrance(entered) {
  byId("entrance").addEventListener("submit", (event) => {
    event.preventDefault();
    const typed = byId("key").value.trim();
    if (!typed) {
      byId("key").focus();
      return;
    }
    key = typed;
    byId("key").removeAttribute("aria-invalid");
    byId("entrance").hidden = true;
    entered();
  });
}
