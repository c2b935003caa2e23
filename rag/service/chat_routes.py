"""The interface of OpenAI's clients: chat completions, and the ways of answering as models."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Response

from rag.service import refusals
from rag.service.chat_bodies import MODELS, unknown_model
from rag.service.chat_schemas import ChatResponse, ChunkBody, ErrorBody, ModelBody, ModelsBody
from rag.service.questions import Questions
from rag.service.streaming import MEDIA_TYPE


def add_chat(app: FastAPI, questions: Questions) -> None:
    """Add answering and the list of models."""
    stream = {MEDIA_TYPE: {"schema": ChunkBody.model_json_schema()}}
    app.add_api_route(
        refusals.CHAT,
        questions.chat,
        methods=["POST"],
        response_model=ChatResponse,
        summary="Answer in a conversation, as OpenAI's API does",
        responses={
            200: {"description": "The answer, whole or in pieces", "content": stream},
            **_documented(400, 404, 408, 413, 415, 429, 500, 502, 503, 504),
        },
    )
    app.add_api_route(refusals.MODELS, _models, summary="Ways of answering")
    app.add_api_route(
        f"{refusals.MODELS}/{{model}}",
        _model,
        response_model=ModelBody,
        summary="One way of answering",
        responses=_documented(404),
    )


async def _models() -> ModelsBody:
    """List the ways of answering, as models."""
    return ModelsBody(data=tuple(ModelBody(id=name) for name in MODELS))


async def _model(model: str) -> Response:
    """Tell whether there is such a way of answering."""
    if model not in MODELS:
        return refusals.chat_response(unknown_model(model))
    return Response(ModelBody(id=model).model_dump_json(), media_type="application/json")


def _documented(*statuses: int) -> dict[int | str, Any]:
    return {
        status: {"description": HTTPStatus(status).phrase, "model": ErrorBody}
        for status in statuses
    }
