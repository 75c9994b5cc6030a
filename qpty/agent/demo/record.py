"""The conversation, in the shape in which q keeps it, and the moments at which it is saved."""
# ruff: noqa: PTH109 - `store` says why there is no pathlib here

import json
import os
import time

from .store import Store

Json = dict[str, object]

CANCELLED = "Tool use was cancelled by the user"
DENIED_BY_USER = "I deny this tool request. Ask a follow up question clarifying the expected action"
INTERRUPTED_BY_USER = "The user interrupted the tool execution."
INTERRUPTED = "Tool uses were interrupted, waiting for the next user prompt"
_PROMPT_FRAME, _PICTURES_FRAME = 158, 105
"""How many bytes q puts around a prompt before it sends it, and what it sends with pictures."""


def new_id() -> str:
    """A random UUID, version 4."""
    raw = bytearray(os.urandom(16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def tool_text(text: str, ok: bool, tool_id: str) -> Json:
    """A tool's result that is text."""
    return {"tool_use_id": tool_id, "content": [{"Text": text}], "status": "Success" if ok else "Error"}


def tool_json(value: object, ok: bool, tool_id: str) -> Json:
    """A tool's result that is JSON."""
    return {"tool_use_id": tool_id, "content": [{"Json": value}], "status": "Success" if ok else "Error"}


class ToolUse:
    """One tool call of an answer. `name` is what the record calls it: "dummy" for a tool that was not offered."""

    __slots__ = ("arguments", "name", "orig_name", "tool_id")

    def __init__(self, orig_name: str, arguments: Json, offered: frozenset[str]) -> None:
        self.tool_id = f"tooluse_{os.urandom(8).hex()}"
        self.orig_name, self.arguments = orig_name, arguments
        self.name = orig_name if orig_name in offered else "dummy"

    def as_json(self) -> Json:
        """The call as the record holds it."""
        names = {"name": self.name, "orig_name": self.orig_name}
        return {"id": self.tool_id, **names, "args": self.arguments, "orig_args": self.arguments}


class UserMessage:
    """A user's side of an exchange, before there is an answer. `kind` is the record's name for its content."""

    __slots__ = ("images", "kind", "prompt", "results", "started_ms", "timestamp")

    def __init__(self, kind: str, prompt: str | None, results: list[Json], images: list[Json] | None = None) -> None:
        self.kind, self.prompt, self.results, self.images = kind, prompt, results, images
        self.started_ms = time.time_ns() // 1_000_000
        self.timestamp = None if kind == "ToolUseResults" and not images else _timestamp()

    def as_json(self) -> Json:
        """The message as the record holds it."""
        content: Json = {} if self.kind == "ToolUseResults" else {"prompt": self.prompt}
        if self.kind != "Prompt":
            content["tool_use_results"] = self.results
        state = {
            "operating_system": "linux",
            "current_working_directory": os.getcwd(),
            "environment_variables": [],
        }
        return {
            "additional_context": "",
            "env_context": {"env_state": state},
            "content": {self.kind: content},
            "timestamp": self.timestamp,
            "images": self.images or None,
        }


def _timestamp() -> str:
    seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanos:09}Z"


class Conversation:
    """What was said in one directory. Every change that q saves at once is saved at once."""

    __slots__ = ("_rest", "_store", "agent", "directory", "history", "instruction", "model", "tool_specs", "transcript")

    def __init__(
        self, store: Store, model: str, tool_specs: Json, *, agent: str | None = None, instruction: str | None = None
    ) -> None:
        self._store, self.agent = store, agent
        self.directory = os.path.realpath(os.getcwd())
        self.model, self.tool_specs, self.instruction = model, tool_specs, instruction
        self.clear()

    def clear(self) -> None:
        """Begin anew, with another id; the saved one stays until the next message is answered."""
        self.history: list[Json] = []
        self.transcript: list[str] = []
        self._rest: Json = {"conversation_id": new_id(), "latest_summary": None}

    def load(self, text: str) -> None:
        """Take over a conversation from its JSON text. Raises ValueError for another shape."""
        value = json.loads(text)
        history = value.get("history") if isinstance(value, dict) else None
        entries: list[Json] = history if isinstance(history, list) else [{}]
        if not all(isinstance(entry, dict) and {"user", "assistant"} <= entry.keys() for entry in entries):
            raise ValueError("it is not a conversation: it needs `history`, a list of `user` and `assistant`")
        self.history = entries
        self.transcript = [str(line) for line in value.get("transcript") or []]
        summary = value.get("latest_summary")
        self._rest = {"conversation_id": value.get("conversation_id") or new_id(), "latest_summary": summary}

    def resume(self) -> bool:
        """Take up the directory's saved conversation; False if there is none."""
        saved = self._store.conversation(self.directory)
        if saved is None:
            return False
        self.load(saved)
        return bool(self.history)

    def as_json(self) -> Json:
        """The whole conversation as q writes it."""
        files = ["AmazonQ.md", "AGENTS.md", "README.md", ".amazonq/rules/**/*.md"]
        return {
            "conversation_id": self._rest["conversation_id"],
            "next_message": None,
            "history": self.history,
            "valid_history_range": [0, max(0, len(self.history) - 1)],
            "transcript": self.transcript,
            "tools": self.tool_specs,
            "context_manager": {
                "max_context_files_size": 150000,
                "current_profile": self.agent or "q_cli_default",
                "paths": [] if self.agent else files,
                "hooks": {},
            },
            "context_message_length": len(self.instruction or "") or None,
            "latest_summary": self._rest["latest_summary"],
            "model_info": {
                "model_name": self.model, "description": "A demo without a model", "model_id": self.model,
                "context_window_tokens": 200000,
            },
            "file_line_tracker": {},
            "checkpoint_manager": None,
            "mcp_enabled": True,
        }  # fmt: skip

    def _save(self) -> None:
        self._store.save_conversation(self.directory, json.dumps(self.as_json(), ensure_ascii=False))

    def compact(self, summary: str) -> None:
        """Replace the history by a summary, as after an overflow."""
        self.history = []
        self._rest["latest_summary"] = summary

    # what a model would see

    def said(self, message: UserMessage) -> list[tuple[str, bool]]:
        """Every user message up to this one, oldest first: its text, and whether it brought tool results."""
        earlier = [(f"Follow this instruction: {self.instruction}", False)] if self.instruction else []
        earlier += [_said(entry) for entry in self.history]
        return [*earlier, (message.prompt or "", message.kind != "Prompt")]

    def message(self, prompt: str) -> UserMessage:
        """A user's prompt; if tools wait for an answer, it refuses them."""
        waiting = self._waiting_tools()
        if not waiting:
            return UserMessage("Prompt", prompt, [])
        return UserMessage("CancelledToolUses", prompt, [tool_text(CANCELLED, False, i) for i in waiting])

    def _waiting_tools(self) -> list[str]:
        assistant = self.history[-1].get("assistant") if self.history else None
        uses = assistant.get("ToolUse", {}).get("tool_uses", []) if isinstance(assistant, dict) else []
        return [str(use.get("id")) for use in uses]

    # what is kept

    def note_prompt(self, text: str) -> None:
        """Keep what was typed in the transcript."""
        self.transcript.append("> " + text.replace("\n", "> \n"))

    def keep(self, message: UserMessage, text: str, tools: list[ToolUse]) -> None:
        """Keep an exchange that is complete, and save."""
        message_id = new_id()
        assistant: Json = {"message_id": message_id, "content": text}
        if tools:
            assistant["tool_uses"] = [use.as_json() for use in tools]
        said = {"ToolUse" if tools else "Response": assistant}
        entry = {"user": message.as_json(), "assistant": said}
        self.history.append(entry | {"request_metadata": self._metadata(message, message_id, text, tools)})
        names = ",".join(use.orig_name for use in tools) or "none"
        self.transcript.append(f"{text}\n[Tool uses: {names}]")
        self._save()

    def keep_interruption(self) -> None:
        """Keep that the user interrupted tools that were running; q makes the answer up."""
        message = UserMessage("CancelledToolUses", INTERRUPTED_BY_USER, [])
        message.results = [tool_text(CANCELLED, False, tool_id) for tool_id in self._waiting_tools()]
        said = {"Response": {"message_id": None, "content": INTERRUPTED}}
        self.history.append({"user": message.as_json(), "assistant": said, "request_metadata": None})
        self.transcript.append(f"{INTERRUPTED}\n[Tool uses: none]")
        self._save()

    def _metadata(self, message: UserMessage, message_id: str, text: str, tools: list[ToolUse]) -> Json:
        now = time.time_ns() // 1_000_000
        first = {"secs": 0, "nanos": min((now - message.started_ms) * 1_000_000, 999_999_999)}
        size = len(text.encode("utf-8", "replace")) + sum(len(json.dumps(use.arguments)) for use in tools)
        if message.prompt is None:
            prompt = _PICTURES_FRAME if message.images else 0
        else:
            prompt = _PROMPT_FRAME + len(message.prompt.encode("utf-8", "replace"))
        return {
            "request_id": new_id(),
            "message_id": message_id,
            "request_start_timestamp_ms": message.started_ms,
            "stream_end_timestamp_ms": now,
            "time_to_first_chunk": first,
            "time_between_chunks": [],
            "user_prompt_length": prompt,
            "response_size": size,
            "chat_conversation_type": "ToolUse" if tools else "NotToolUse",
            "tool_use_ids_and_names": [[use.tool_id, use.orig_name] for use in tools],
            "model_id": self.model,
            "message_meta_tags": [],
        }


def _said(entry: Json) -> tuple[str, bool]:
    user = entry.get("user")
    content = user.get("content") if isinstance(user, dict) else None
    for kind, value in content.items() if isinstance(content, dict) else ():
        return str((value.get("prompt") if isinstance(value, dict) else None) or ""), kind != "Prompt"
    return "", False


def result_values(results: list[Json]) -> list[tuple[bool, object]]:
    """Tool results as a model sees them: whether each succeeded, and its value."""
    values: list[tuple[bool, object]] = []
    for result in results:
        content = result.get("content")
        ok, parts = result.get("status") == "Success", content if isinstance(content, list) else []
        values += [(ok, part.get("Json", part.get("Text"))) for part in parts]
    return values
