// The service's interface. Addresses are relative, so that the page also works below a prefix.

import { keyHeader } from "./entrance.js";

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? "the request failed");
    Object.assign(this, { status, title: "The request failed", remedy: null, ...body });
  }
}

const silent = (error) => {
  if (error.name === "AbortError" || error instanceof Problem) return error;
  return new Problem(0, {
    title: "The service cannot be reached",
    detail: "it did not answer, or the connection broke off",
    remedy: "check that rag serve is running, then ask again",
  });
};

async function called(path, options) {
  const response = await fetch(path, { ...options, credentials: "same-origin" });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Problem(response.status, {
    ...body, after: response.headers.get("Retry-After"),
  });
}

export async function read(path) {
  try {
    return await (await called(path, { headers: keyHeader() })).json();
  } catch (error) {
    throw silent(error);
  }
}

const posted = (path, body, signal) => called(path, {
  method: "POST", body: JSON.stringify(body), signal,
  headers: { "Content-Type": "application/json", ...keyHeader() },
});

export async function send(path, body) {
  try {
    return await (await posted(path, body)).json();
  } catch (error) {
    throw silent(error);
  }
}

// Whether this browser can read a response while it arrives; else it is asked for as a whole.
const streams = () => "ReadableStream" in window && "body" in Response.prototype;

export async function ask(body, said, signal) {
  try {
    const response = await posted("v1/query", { ...body, stream: streams() }, signal);
    const streamed = response.headers.get("Content-Type")?.startsWith("text/event-stream");
    return streamed ? await told(response, said) : await response.json();
  } catch (error) {
    throw silent(error);
  }
}

async function told(response, said) {
  let result = null;
  for await (const { name, data } of events(response.body)) {
    if (name === "text") said(data.text);
    else if (name === "problem") throw new Problem(data.status, data);
    else if (name === "receipt") result = data;
  }
  if (!result) throw new TypeError("the stream ended without a receipt");
  return result;
}

// Source: WHATWG HTML Standard, section 9.2.6; only the fields that the service sends.
async function* events(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = block.split("\n").map((line) => line.split(/: ?(.*)/s));
      const data = fields.filter(([name]) => name === "data").map(([, text]) => text).join("\n");
      const name = fields.find(([field]) => field === "event")?.[1];
      if (data) yield { name, data: JSON.parse(data) };
    }
  }
}
