"""The interface, one row an operation. `/docs` shows it; the README says it in short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qpty.compat.chat.reading import ChatRequest
from qpty.compat.messages.reading import CountRequest, MessagesRequest
from qpty.compat.responses.reading import ResponsesRequest
from qpty.server.models import agents as agent_shapes
from qpty.server.models import service as service_shapes
from qpty.server.models import sessions as session_shapes
from qpty.server.models import turns as turn_shapes
from qpty.server.operations import EVENT_STREAM, NDJSON, Header, Operation, Reply
from qpty.server.routes import agents, clients, exports, files, service, sessions, sockets, streams, turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from qpty.server.models.common import Model
    from qpty.server.operations import Call

SESSION: Final = "/api/v1/sessions/{session_id}"
HTML: Final = "text/html"
ANYTHING: Final = "*/*"
RECORDED_SCREENS: Final = (
    "The first line is of `type` `recording`: `began`, `columns`, `lines`. Then one of type `screen` for each look, "
    "ten a second at most: `time` in seconds, and the fields of the WebSocket's frame. The last is of type `end`: "
    "`duration`, `looks`; a stream without it broke off."
)

NOT_FOUND: Final = "session_not_found"
SENDING: Final = (
    NOT_FOUND, "invalid_message", "message_too_long", "key_reused", "question_open", "queue_full", "stopping",
    "storage_busy",
)  # fmt: skip
TURNING: Final = (
    *SENDING, "no_capacity", "agent_unavailable", "not_signed_in", "sign_in_expired", "rate_limited", "monthly_limit",
    "context_overflow", "account_suspended", "access_denied", "upstream_error", "model_overloaded", "agent_crashed",
    "worker_lost", "timeout", "unknown",
)  # fmt: skip
CLIENTS: Final = (
    *TURNING, "model_not_found", "previous_response_not_found", "calls_answered", "answer_stopped", "history_too_large",
    "invalid_history", "answer_not_json", "invalid_profile", "too_many_streams", "storage_full",
)  # fmt: skip
FILES: Final = (NOT_FOUND, "invalid_path", "file_not_found", "not_a_file", "not_a_directory", "file_refused")


def _row(
    method: str,
    path: str,
    name: str,
    tag: str,
    summary: str,
    handler: Callable[[Call], Awaitable[web.StreamResponse]],
    *replies: Reply,
    **more: Any,
) -> Operation:
    return Operation(
        method=method, path=path, id=name, tag=tag, summary=summary, handler=handler, replies=replies, **more
    )


def _json(model: type[Model], status: int = 200, description: str = "") -> Reply:
    return Reply(model=model, status=status, description=description)


_NOTHING: Final = Reply(status=204, media_type="")
_EVENTS: Final = Reply(media_type=EVENT_STREAM, description="`event:` is the type, `data:` the journal's event.")
_ANSWER: Final = Reply(media_type="application/json", description="In the client's own shape.")
_FRAMES: Final = Reply(media_type=EVENT_STREAM, description="With `stream`, in the client's own frames.")
_LAST_EVENT_ID: Final = Header(
    "Last-Event-ID", "The number after which to go on; stronger than `after`.", pattern="^[0-9]{0,16}$"
)

OPERATIONS: Final = (
    # -- the service
    _row(
        "GET", "/", "root", "service", "What this is", service.root,
        _json(service_shapes.ServiceInfo), Reply(media_type=HTML, description="For browsers."),
        errors=("key_required", "key_refused"), public=True,
    ),
    *(
        _row(
            "GET", path, name, "service", "Whether it can serve", service.health,
            _json(service_shapes.Health), _json(service_shapes.Health, 503, "It can't serve; `problems` says why."),
            public=True,
        )
        for path, name in (("/health", "health"), ("/healthz", "healthz"))
    ),
    _row(
        "GET", "/metrics", "metrics", "service", "Figures for Prometheus", service.metrics,
        Reply(media_type="text/plain"),
    ),
    _row(
        "GET", "/openapi.json", "openapi", "service", "This document", service.openapi,
        Reply(media_type="application/json"), public=True,
    ),
    *(
        _row(
            "GET", path, name, "service", summary, service.session_page, Reply(media_type=HTML),
            errors=(NOT_FOUND, "route_not_found"),
        )
        for path, name, summary in (
            ("/sessions/{session_id}", "session_page", "The page, at a session"),
            ("/sessions/{session_id}/{view}", "session_view_page", "The page, at a session's `files` or `terminal`"),
        )
    ),
    _row(
        "GET", "/docs", "docs", "service", "This interface, to be read and tried", service.documentation,
        Reply(media_type=HTML), public=True,
    ),
    _row(
        "GET", "/assets/{path}", "asset", "service", "A page's file", service.asset,
        Reply(media_type=ANYTHING), Reply(status=304, media_type="", description="It hasn't changed."),
        errors=("route_not_found",), public=True,
    ),
    # -- signing a browser in
    _row(
        "POST", "/api/v1/login-links", "create_login_link", "sign-in",
        "Make a link that signs one browser in, once, within ten minutes", service.login_link,
        _json(service_shapes.LoginLink, 201), errors=("no_keys",),
    ),
    _row(
        "GET", "/login/{token}", "login_by_link", "sign-in", "Sign a browser in by a one-time link",
        service.login_by_link, Reply(status=303, media_type="", description="To the page, with a cookie."),
        errors=("key_refused",), public=True, once=True,
    ),
    _row(
        "POST", "/login", "login_by_key", "sign-in", "Sign a browser in by a key, from the page's form",
        service.login_by_key, Reply(status=303, media_type="", description="To the page, with a cookie."),
        form=service_shapes.LoginForm, query=service_shapes.LoginQuery,
        errors=("key_required", "key_refused", "no_keys"), public=True,
    ),
    _row(
        "POST", "/logout", "logout", "sign-in", "Sign a browser out", service.logout, _NOTHING, public=True,
    ),
    # -- sessions
    _row(
        "POST", "/api/v1/sessions", "create_session", "sessions", "Make a session", sessions.create,
        _json(session_shapes.SessionCreated, 201), body=session_shapes.SessionCreate, body_optional=True,
        errors=("invalid_profile", "invalid_value", "stopping", "storage_busy"),
    ),
    _row(
        "GET", "/api/v1/sessions", "list_sessions", "sessions", "List or search sessions, newest activity first",
        sessions.page,
        _json(session_shapes.SessionList), query=session_shapes.SessionQuery, errors=("invalid_cursor",),
    ),
    _row(
        "GET", SESSION, "get_session", "sessions", "Look at a session", sessions.get,
        _json(session_shapes.Session), errors=(NOT_FOUND,),
    ),
    _row(
        "PATCH", SESSION, "change_session", "sessions", "Change its title or its terminal's size", sessions.change,
        _json(session_shapes.Session), body=session_shapes.SessionChange, errors=(NOT_FOUND, "invalid_value"),
    ),
    _row(
        "DELETE", SESSION, "delete_session", "sessions",
        "Delete a session with its directory and its journal", sessions.delete, _NOTHING,
        errors=(NOT_FOUND, "directory_unusable", "stopping"),
    ),
    _row(
        "POST", f"{SESSION}/fork", "fork_session", "sessions",
        "Make a session that goes on from the end of a turn, with or without the files", sessions.fork,
        _json(session_shapes.SessionForked, 201), body=session_shapes.SessionFork, body_optional=True,
        errors=(NOT_FOUND, "not_forkable", "stopping", "files_too_large", "file_refused", "storage_full"),
    ),
    _row(
        "GET", f"{SESSION}/export", "export_session", "sessions", "Download what was said, for people or programs",
        exports.export, Reply(media_type="text/markdown"), _json(turn_shapes.Export),
        query=session_shapes.ExportQuery, errors=(NOT_FOUND,),
    ),
    _row(
        "GET", "/api/v1/agents", "list_agents", "sessions", "Say which agents, models and tools a session may have",
        agents.choices, _json(agent_shapes.AgentChoices),
    ),
    _row(
        "POST", f"{SESSION}/hibernate", "hibernate_session", "sessions",
        "End its idle worker; the conversation is kept", sessions.hibernate, _json(session_shapes.Hibernated),
        errors=(NOT_FOUND, "stopping"),
    ),
    # -- its terminal
    _row(
        "GET", f"{SESSION}/screen", "get_screen", "terminal", "What a person would see on its terminal now",
        sessions.screen, _json(session_shapes.Screen), errors=(NOT_FOUND, "not_live", "stopping"),
    ),
    _row(
        "GET", f"{SESSION}/recording", "get_recording", "terminal", "Its terminal's recording, as an asciicast",
        sessions.recording, Reply(media_type="application/x-asciicast"),
        errors=(NOT_FOUND, "no_recording", "stopping"),
    ),
    _row(
        "GET", f"{SESSION}/recording/screens", "get_recorded_screens", "terminal",
        "Its terminal's recording as screens, in lines of JSON: to be played without a terminal",
        sessions.recorded_screens, Reply(media_type=NDJSON, description=RECORDED_SCREENS),
        errors=(NOT_FOUND, "no_recording", "too_many_streams", "stopping"),
    ),
    # -- talking
    _row(
        "POST", "/api/v1/chat", "chat", "talking",
        "Send a message and get the whole answer, or the question that comes first", turns.chat,
        _json(turn_shapes.ChatAnswer), body=turn_shapes.Chat, errors=TURNING,
    ),
    _row(
        "POST", "/api/v1/chat/stream", "chat_stream", "talking",
        "Send a message and get its events, until its end or a question", turns.chat_stream,
        _EVENTS, body=turn_shapes.Chat, errors=SENDING,
    ),
    _row(
        "GET", f"{SESSION}/messages", "list_messages", "talking", "List what was said", turns.messages,
        _json(turn_shapes.MessageList), query=turn_shapes.MessageQuery, errors=(NOT_FOUND,),
    ),
    _row(
        "POST", f"{SESSION}/messages", "send_message", "talking", "Send a message; its events tell the rest",
        turns.send, _json(turn_shapes.MessageAccepted, 202), body=turn_shapes.MessageSend, errors=SENDING,
    ),
    _row(
        "GET", f"{SESSION}/turns/{{turn_id}}", "get_turn", "talking", "Look at a turn", turns.turn,
        _json(turn_shapes.Turn), errors=(NOT_FOUND, "turn_not_found"),
    ),
    _row(
        "POST", f"{SESSION}/interrupt", "interrupt", "talking", "Stop the running turn, or the one named",
        turns.interrupt, _json(turn_shapes.Interrupted), body=turn_shapes.Interrupt, body_optional=True,
        errors=(NOT_FOUND, "turn_not_found", "stopping"),
    ),
    _row(
        "POST", f"{SESSION}/permissions/{{request_id}}", "answer_permission", "talking", "Answer a permission",
        turns.answer_permission, _json(turn_shapes.PermissionAnswered), body=turn_shapes.PermissionAnswer,
        errors=(NOT_FOUND, "question_gone", "invalid_answer", "stopping"),
    ),
    _row(
        "POST", f"{SESSION}/menus/{{request_id}}", "choose", "talking", "Choose from a menu, or leave it",
        turns.choose, _json(turn_shapes.MenuAnswered), body=turn_shapes.MenuChoice,
        errors=(NOT_FOUND, "question_gone", "invalid_choice", "stopping"),
    ),
    _row(
        "POST", "/api/v1/markdown", "render_markdown", "talking", "Render a text's markdown as HTML, as the page does",
        turns.markdown, _json(turn_shapes.RenderedMarkdown), body=turn_shapes.Markdown,
    ),
    # -- the journal
    _row(
        "GET", f"{SESSION}/events", "events", "journal", "The session's events, and those that come",
        streams.events, _EVENTS, query=turn_shapes.EventsQuery, headers=(_LAST_EVENT_ID,),
        errors=(NOT_FOUND, "invalid_request", "too_many_streams", "stopping"),
    ),
    _row(
        "GET", f"{SESSION}/ws", "connect", "journal", "The session's WebSocket: frames in, events out",
        sockets.connect, Reply(status=101, media_type="", description="It is open."), query=turn_shapes.SocketQuery,
        errors=(NOT_FOUND, "invalid_request", "too_many_streams", "stopping"),
    ),
    # -- OpenAI's and Anthropic's clients
    _row(
        "POST", "/v1/chat/completions", "chat_completions", "clients", "OpenAI's Chat Completions",
        clients.chat_completions, _ANSWER, _FRAMES, body=ChatRequest, family="openai", errors=CLIENTS,
    ),
    _row(
        "POST", "/v1/responses", "responses", "clients", "OpenAI's Responses",
        clients.responses, _ANSWER, _FRAMES, body=ResponsesRequest, family="openai", errors=CLIENTS,
    ),
    _row(
        "POST", "/v1/messages", "messages", "clients", "Anthropic's Messages",
        clients.messages, _ANSWER, _FRAMES, body=MessagesRequest, family="anthropic", errors=CLIENTS,
    ),
    _row(
        "POST", "/v1/messages/count_tokens", "count_tokens", "clients", "Estimate a message's tokens",
        clients.count_tokens, _ANSWER, body=CountRequest, family="anthropic",
    ),
    _row(
        "GET", "/v1/models", "models", "clients", "The models, for clients of both", clients.models, _ANSWER,
        family="either",
    ),
    _row(
        "GET", "/v1/models/{model_id}", "model", "clients", "One model", clients.model, _ANSWER, family="either",
        errors=("model_not_found",),
    ),
    # -- files
    _row(
        "GET", f"{SESSION}/files", "list_files", "files", "List a session's files", files.listing,
        _json(session_shapes.FileList), query=session_shapes.FileQuery, errors=FILES,
    ),
    _row(
        "GET", f"{SESSION}/files/{{path}}", "get_file", "files", "Get a file, or a part of it", files.get,
        Reply(media_type=ANYTHING),
        Reply(status=206, media_type=ANYTHING, description="The part that was asked for."),
        Reply(status=304, media_type="", description="It hasn't changed."),
        headers=(
            Header("Range", "One range of bytes."),
            Header("If-Range", "An `ETag`: only if it is still that file."),
            Header("If-None-Match", "An `ETag`, or several: only if it is another file by now."),
        ),
        errors=(*FILES, "invalid_range"),
    ),
    _row(
        "PUT", f"{SESSION}/files/{{path}}", "put_file", "files", "Put a file, whole, with the directories on its way",
        files.put, _json(session_shapes.File, 201, "It is new."),
        _json(session_shapes.File, 200, "It replaced what was there."), upload=True,
        headers=(Header("If-None-Match", "`*`: only if nothing is there."),),
        errors=(*FILES, "name_taken", "file_too_large", "storage_full"),
    ),
    _row(
        "DELETE", f"{SESSION}/files/{{path}}", "delete_file", "files", "Delete a file, or an empty directory",
        files.delete, _NOTHING, errors=(*FILES, "directory_not_empty"),
    ),
)  # fmt: skip
"""Every operation, in the order of the document."""
