"""Rules of labels and annotations of InferenceServices: they switch modes and restart Pods."""

from __future__ import annotations

from collections.abc import Iterator

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import annotation, block
from generator.rules.kserve.accessors import MODE, is_standard, variant_of
from generator.yamlio import Pointer

BOOK = Book("serving")

_CONTROLLER = "kserve/kserve@pkg/controller/v1beta1/inferenceservice/controller.go"
_COPIED = "kserve/kserve#3710, kserve/kserve@pkg/constants/constants.go"
_AT_MODE: Pointer = ("metadata", "annotations", MODE)

_FORMER = ("RawDeployment", "Serverless")
"""Names that KServe rewrites; a rule of delivery tells of them."""

_MODE = BOOK.error(
    "S043",
    "The mode of an InferenceService is the environment's: canary and autoscaler follow from it.",
    evidence=f"kserve/kserve@pkg/constants/constants.go, {_CONTROLLER}",
    remedy="Write the mode of the environment, or describe another environment.",
)


@_MODE.on_objects("InferenceService")
def _mode_of_another_environment(item: Json, scene: Scene) -> Iterator[Spot]:
    found, own = annotation(item, MODE), scene.environment.mode
    if found and found not in _FORMER and found != own:
        message = (
            f"this says {found} and environment {scene.environment.name} is {own}: what gen "
            "renders for traffic and replicas would be ignored"
        )
        yield Spot(message, _AT_MODE, f"write `{own}`")


_UNTOLD = BOOK.warning(
    "S044",
    "Without a mode, KServe takes the cluster's default, which is Knative unless changed.",
    evidence="kserve/kserve@config/configmap/inferenceservice.yaml",
    remedy="Write the annotation serving.kserve.io/deploymentMode.",
)


@_UNTOLD.on_objects("InferenceService")
def _mode_that_is_not_told(item: Json, scene: Scene) -> Iterator[Spot]:
    if not annotation(item, MODE):
        message = "without a mode this becomes whatever the cluster's default is"
        hint = f"add the annotation `{MODE}: {scene.environment.mode}`"
        yield Spot(message, ("metadata", "annotations"), hint)


_STOP = BOOK.error(
    "S045",
    "`serving.kserve.io/stop` deletes what serves, while the document says that it is live.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/reconcilers/ingress/"
    "httproute_reconciler.go",
    remedy="Remove the model's block for the environment instead.",
)
_STOPS = "serving.kserve.io/stop"


@_STOP.on_objects("InferenceService", "LLMInferenceService")
def _stopped(item: Json, scene: Scene) -> Iterator[Spot]:
    if annotation(item, _STOPS) == "true":
        message = "this deletes the Deployment and its routes: requests would find nobody"
        hint = "remove it; a model that is not to run has no block for the environment"
        yield Spot(message, ("metadata", "annotations", _STOPS), hint)


_ROLE = BOOK.warning(
    "S046",
    "A label that says what role a version plays restarts its Pods when it is promoted.",
    evidence=_COPIED,
    remedy="Remove it: the route says who is stable, and the Pods that proved themselves stay.",
)


def _metadata(item: Json) -> Iterator[tuple[Pointer, str, str]]:
    """Give the labels and annotations that reach the Pods of the predictor."""
    for place in (("metadata",), ("spec", "predictor")):
        for kind in ("labels", "annotations"):
            for key, value in block(item, *place, kind).items():
                yield (*place, kind, key), str(key), str(value)


@_ROLE.on_objects("InferenceService")
def _metadata_of_the_role(item: Json, scene: Scene) -> Iterator[Spot]:
    variant = variant_of(item, scene)
    if variant is None or scene.release is None or scene.release.strategy != "route":
        return
    for place, key, value in _metadata(item):
        if value == variant.role:
            message = f"`{key}` follows the role: a promotion would change it and restart the Pods"
            yield Spot(message, place, "remove it")


_SCRAPED = BOOK.warning(
    "S047",
    "In Standard mode the scraping annotation sends Prometheus to a port that nobody has.",
    evidence="kserve/kserve@pkg/webhook/admission/pod/metrics_aggregate_injector.go",
    remedy="Use a PodMonitor with `portNumber`, or prometheus.io annotations alone.",
)
_SCRAPES = "serving.kserve.io/enable-prometheus-scraping"


@_SCRAPED.on_objects("InferenceService")
def _scraped_where_nothing_is(item: Json, scene: Scene) -> Iterator[Spot]:
    if annotation(item, _SCRAPES) == "true" and is_standard(item, scene):
        message = "KServe sets the port to 9091, which is Knative's queue-proxy, and there is none"
        hint = "remove it, and write `prometheus.io/scrape`, `port` and `path` yourself"
        yield Spot(message, ("metadata", "annotations", _SCRAPES), hint)
