"""What a new session may be given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qpty.server.models import agents as shapes
from qpty.server.models.sessions import SessionCreate
from qpty.server.operations import Call, answer
from qpty.server.routes.sessions import profile_of

if TYPE_CHECKING:
    from aiohttp import web


async def choices(call: Call) -> web.Response:
    """List agents, models and tools, and say what is taken where none is named."""
    manager, offers = call.manager, call.manager.offers
    agents = await offers.agents() if offers is not None else ()
    tools = await offers.tools() if offers is not None else ()
    models = await offers.models() if offers is not None else None
    if models is None:
        models, complete = await manager.models_used(owner=call.owner), False
    else:
        complete = True
    given = SessionCreate()
    profile = profile_of(call, given)
    return answer(
        shapes.AgentChoices(
            kind=manager.agent_kind,
            agents=[shapes.AgentChoice(name=offer.name, description=offer.description) for offer in agents],
            models=list(models),
            models_complete=complete,
            tools=[shapes.ToolChoice(name=offer.name, description=offer.description) for offer in tools],
            defaults=shapes.SessionDefaults(
                agent=profile.agent,
                model=profile.model,
                system_prompt=profile.system_prompt,
                trusted_tools=list(profile.trusted_tools) if profile.trusted_tools is not None else None,
                trust_all_tools=profile.trust_all_tools,
                columns=given.columns,
                lines=given.lines,
            ),
        )
    )
