// The one place where a text becomes HTML: blocks that the server rendered and cleaned.

const policy = globalThis.trustedTypes?.createPolicy("qpty-rendered", { createHTML: (html) => html }) ?? {
  createHTML: (html) => html,
};

/** Nodes for HTML of a "rendered" frame, or of `POST /api/v1/markdown`; never for any other text. */
export function nodesOf(html) {
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  return template.content;
}
