// What a new session may be given: agent, model, system prompt, trusted tools, and the terminal's size.

import { ApiError, request } from "../common/api.js";
import { Field } from "../common/dialog.js";
import { h } from "../common/dom.js";
import { text } from "../common/texts.js";
import { visible } from "../common/visible_text.js";

const PROMPT_CHARACTERS = 65_536;

let numbers = 0;

export class SessionForm {
  #agent = h("select", { class: "field" }, h("option", { value: "", text: text("default_agent") }));
  #models = h("datalist", { id: `models-${++numbers}` });
  #model = h("input", { class: "field", type: "text", list: this.#models.id, maxlength: 128, autocomplete: "off", spellcheck: "false", placeholder: text("default_model") });
  #prompt = h("textarea", { class: "field", rows: 4, maxlength: PROMPT_CHARACTERS, dir: "auto" });
  #columns = h("input", { class: "field", type: "number", min: 20, max: 500, value: 80 });
  #lines = h("input", { class: "field", type: "number", min: 5, max: 500, value: 24 });
  #others = h("input", { class: "field", type: "text", autocomplete: "off", spellcheck: "false" });
  #tools = h("div", { class: "tools" });
  #trust = `trust-${numbers}`;
  #some;
  #problem = h("p", { class: "muted", role: "status" });

  constructor() {
    const others = new Field(text("other_tools"), this.#others, text("other_tools_hint"));
    this.fields = {
      agent: new Field(text("agent"), this.#agent),
      model: new Field(text("model"), this.#model),
      system_prompt: new Field(text("system_prompt"), this.#prompt, text("system_prompt_hint")),
      trusted_tools: others,
      columns: new Field(text("columns"), this.#columns),
      lines: new Field(text("lines"), this.#lines),
    };
    this.#some = h("div", { class: "some-tools", hidden: true }, this.#tools, others.element);
    this.element = h("div", {},
      this.fields.system_prompt.element, this.fields.model.element, this.#models, this.fields.agent.element,
      h("fieldset", { class: "dialog-field", on: { change: () => this.#chosen() } }, h("legend", { text: text("trust") }),
        this.#way("default", "trust_default", true), this.#way("some", "trust_some"), this.#some, this.#way("all", "trust_all")),
      h("details", {}, h("summary", { text: text("advanced") }),
        h("div", { class: "dialog-pair" }, this.fields.columns.element, this.fields.lines.element)),
      this.#problem);
    this.#agent.addEventListener("change", () => this.#agentChosen());
  }

  /** Where a person begins. */
  get first() {
    return this.#prompt;
  }

  /** What is sent: only what was chosen. */
  get body() {
    const way = this.element.querySelector(`input[name="${this.#trust}"]:checked`).value;
    const body = { columns: Number(this.#columns.value), lines: Number(this.#lines.value) };
    if (this.#agent.value) body.agent = this.#agent.value;
    else if (this.#prompt.value.trim()) body.system_prompt = this.#prompt.value;
    if (this.#model.value.trim()) body.model = this.#model.value.trim();
    if (way === "all") body.trust_all_tools = true;
    if (way === "some") body.trusted_tools = [...this.#checked(), ...this.#others.value.split(/[,\s]+/).filter(Boolean)];
    return body;
  }

  /** Ask the server what there is to choose from; until then, and without, everything can be written by hand. */
  async load() {
    try {
      this.#offer(await request("GET", "/api/v1/agents"));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#problem.textContent = error.message;
    }
  }

  #offer({ agents, models, tools, defaults }) {
    const chosen = this.#agent.value;
    for (const { name, description } of agents) {
      this.#agent.append(h("option", { value: name, text: description ? `${name} — ${description}` : name }));
    }
    this.#agent.value = chosen;
    this.#models.replaceChildren(...models.map((name) => h("option", { value: name })));
    if (defaults.model) this.#model.placeholder = defaults.model;
    if (defaults.agent) this.#agent.options[0].textContent = defaults.agent;
    const trusted = new Set(defaults.trusted_tools ?? []);
    this.#tools.replaceChildren(...tools.map(({ name, description }) => h("label", { class: "choice" },
      h("input", { type: "checkbox", value: name, checked: trusted.has(name) }), h("code", {}, visible(name)),
      h("span", { class: "muted", text: description }))));
  }

  #way(value, key, checked = false) {
    return h("label", { class: "choice" }, h("input", { type: "radio", name: this.#trust, value, checked }), h("span", { text: text(key) }));
  }

  #checked() {
    return [...this.#tools.querySelectorAll("input:checked")].map(({ value }) => value);
  }

  #chosen() {
    this.#some.hidden = this.element.querySelector(`input[name="${this.#trust}"]:checked`).value !== "some";
  }

  /** An agent has a system prompt of its own. */
  #agentChosen() {
    this.#prompt.disabled = this.#agent.value !== "";
  }
}
