"""KServe's InferenceService: a model in a storage, served by a runtime of the cluster.

Names: kserve/kserve@pkg/constants/constants.go, kserve/kserve#4807 (hosts). The HPA that KEDA
makes, `keda-hpa-<name>`, is always shorter than the label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from generator.backends import pods
from generator.backends.contract import Ask, Backend, Derived, Kind, Made, shared_concerns
from generator.documents import Document, Json
from generator.inventory.records import Environment
from generator.problems import Problem
from generator.records import Component, Release, Scaling, Strategy, Variant
from generator.serving import components, graphs, runtimes


class KServe(Backend):
    """One InferenceService, or one per version."""

    name = "kserve"
    keys = ("format", "runtime", "protocol", *components.KINDS, *components.SIDECARS, *pods.KEYS)
    versions = ("transformer",)
    needed = (
        "format",
        "add `format: sklearn`, or what made the model; an image of your own is "
        "`backend: deployment`",
    )
    folder = "inference-service"

    def strategy(self, environment: Environment, *, native: bool) -> Strategy:
        """Follow from the environment, never from the author."""
        if environment.mode == "Knative":
            return "knative"
        if native:
            return "native"
        return "route" if environment.gateway else "single"

    def workload(self, name: str) -> str:
        """Name the predictor."""
        return f"{name}-predictor"

    def derived(self, name: str, namespace: str, *, knative: bool = False) -> list[Derived]:
        """List the label, the host and the revision that KServe and Knative derive."""
        derived = [
            Derived("N001", "the label that KServe puts on its Pods", f"isvc.{name}-predictor"),
            Derived("N002", "the host of its predictor", f"{name}-predictor-{namespace}"),
        ]
        revision = Derived("N001", "its first Knative revision", f"{name}-predictor-00001")
        return [*derived, revision] if knative else derived

    def artifact_problems(self, model: Document, version: str, spec: Json) -> Iterator[Problem]:
        """Ask for a storage URI, or for arguments that let the runtime find the model."""
        pointer = ("versions", version)
        args = [*model.data["serving"].get("args", []), *spec.get("args", [])]
        if "image" in spec:
            message = "KServe brings the runtime's image: `image` is for `backend: deployment`"
            hint = "remove it" if "uri" in spec else "write `uri`, or serve it with that backend"
            yield model.problem("E303", message, (*pointer, "image"), hint=hint, key=True)
        elif "uri" not in spec and not is_self_loading(args):
            message = f"version {version} does not say where the model is"
            hint = "add `uri`, or for huggingface `args: [--model_id=<organisation>/<model>]`"
            yield model.problem("E302", message, pointer, hint=hint, key=True)

    def problems(self, ask: Ask) -> Iterator[Problem]:
        """Find what Pods cannot have, and what cannot stand beside the predictor."""
        yield from pods.problems(ask)
        strategy = self.strategy(ask.environment, native=False)
        native = strategy != "knative" and ask.merged.get("canaryStrategy") == "native"
        yield from components.problems(ask, versioned=strategy == "route", native=native)

    def facts(self, ask: Ask) -> dict[str, Any]:
        """Resolve what all Pods may have, and what stands beside the predictor."""
        return {**pods.facts(ask), **components.facts(ask)}

    def components(
        self, ask: Ask, version: str, name: str, scaling: Scaling
    ) -> tuple[Component, ...]:
        """Resolve transformer and explainer."""
        return components.of_version(ask, version, name, scaling)

    def selector(self, release: Release, variant: Variant) -> Mapping[str, str]:
        """Give KServe's labels of its Pods in Standard mode.

        Every Deployment has an `app` of its own; the two of a native canary share the service's
        (kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go).
        """
        if release.strategy == "knative":
            return {}
        if release.strategy == "native":
            return {"serving.kserve.io/inferenceservice": release.model}
        return {"app": f"isvc.{variant.workload}"}

    def base(self, release: Release) -> tuple[str, ...]:
        """List the InferenceService alone."""
        return ("inference-service.yaml",)

    def concerns(self, release: Release, variant: Variant) -> Iterator[str]:
        """List the patches of an InferenceService."""
        yield from ("mode", "predictor" if release.strategy == "native" else "version", "scaling")
        yield from shared_concerns(release)
        yield from (component.kind for component in variant.components)
        yield from (key for key in components.SIDECARS if key in release.facts)
        if release.strategy == "knative" and variant.role == "canary":
            yield "traffic"
        if release.strategy == "native" and release.canary:
            yield "canary"

    def answers(self, release: Release) -> Iterator[str]:
        """List what the runtime speaks beside gRPC; a transformer of KServe's speaks both.

        A graph that knows the model by its name alone is led to the path of one protocol: the
        declared one, or v1 of a transformer (GetPredictorEndpoint in
        kserve/kserve@pkg/controller/v1beta1/inferenceservice/utils/utils.go).
        """
        shipped = runtimes.SHIPPED.get(release.serving.runtime)
        spoken = {release.serving.protocol, *(shipped.protocols if shipped else ())}
        both = release.stable.transformer is not None
        if graphs.is_by_name(release.environment):
            spoken, both = {"v1"} if both else {release.serving.protocol}, False
        yield from (each for each in ("v1", "v2") if both or each in spoken)

    def made(self, release: Release) -> Iterator[Made]:
        """List the Deployments and Services of the predictors, and of what stands beside them."""
        for variant in release.variants:
            for name in (variant.workload, *(each.workload for each in variant.components)):
                yield Made("apps", "Deployment", name)
                yield Made("", "Service", name)

    def hosts(self, release: Release) -> Iterator[str]:
        """List the hosts that KServe publishes a model on, unless a route of gen's own does.

        A predictor has one of its own (kserve/kserve@pkg/constants/constants.go), so that a model
        that is called like another one's predictor would share it.
        """
        if release.strategy == "route":
            return
        namespace = release.environment.namespace
        workloads = [variant.workload for variant in release.variants]
        workloads += [each.workload for v in release.variants for each in v.components]
        for name in dict.fromkeys((release.model, f"{release.model}-predictor", *workloads)):
            yield f"{name}-{namespace}"

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the InferenceService."""
        return (Kind("serving.kserve.io", "InferenceService"),)


def is_self_loading(args: list[str]) -> bool:
    """Say whether an argument tells the runtime itself where the model is."""
    return any(arg.startswith(runtimes.SELF_LOADING_ARGS) for arg in args)
