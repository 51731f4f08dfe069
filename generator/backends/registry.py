"""All backends, by the value of `serving.backend`."""

from __future__ import annotations

from generator.backends.contract import Backend
from generator.backends.deployment import Deployment
from generator.backends.graph import Graph
from generator.backends.kserve import KServe
from generator.backends.kserve_llm import KServeLLM
from generator.backends.seldon import SeldonCore
from generator.documents import Document
from generator.records import Release
from generator.settings import Settings

DEFAULT = "kserve"

BACKENDS: tuple[Backend, ...] = (KServe(), KServeLLM(), Deployment(), SeldonCore(), Graph())
BY_NAME = {backend.name: backend for backend in BACKENDS}


def of_model(model: Document) -> Backend:
    """Find the backend that a spec names; no environment can change it."""
    return BY_NAME[model.data["serving"].get("backend", DEFAULT)]


def of(merged: Settings) -> Backend:
    """Find the backend of merged settings."""
    return BY_NAME[merged.serving["backend"]]


def of_release(release: Release) -> Backend:
    """Find the backend of a release."""
    return BY_NAME[release.serving.backend]
