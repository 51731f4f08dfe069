"""KServe's InferenceService: a model in a storage, served by a runtime of the cluster.

Names: kserve/kserve@pkg/constants/constants.go, kserve/kserve#4807 (hosts). The HPA that KEDA
makes, `keda-hpa-<name>`, is always shorter than the label.
"""

from __future__ import annotations

from collections.abc import Iterator

from generator import runtimes
from generator.backends.contract import Backend, Derived, Kind, Made, shared_concerns
from generator.documents import Document
from generator.problems import Problem
from generator.records import Environment, Json, Release, Strategy, Variant


class KServe(Backend):
    """One InferenceService, or one per version."""

    name = "kserve"
    keys = ("format", "runtime", "protocol")
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

    def base(self, release: Release) -> tuple[str, ...]:
        """List the InferenceService alone."""
        return ("inference-service.yaml",)

    def concerns(self, release: Release, variant: Variant) -> Iterator[str]:
        """List the patches of an InferenceService."""
        yield from ("mode", "predictor" if release.strategy == "native" else "version", "scaling")
        yield from shared_concerns(release)
        if release.strategy == "knative" and variant.role == "canary":
            yield "traffic"
        if release.strategy == "native" and release.canary:
            yield "canary"

    def made(self, release: Release) -> Iterator[Made]:
        """List the Deployments and Services of the predictors."""
        for variant in release.variants:
            yield Made("apps", "Deployment", variant.workload)
            yield Made("", "Service", variant.service)

    def hosts(self, release: Release) -> Iterator[str]:
        """List the hosts that KServe publishes a model on, unless a route of gen's own does.

        A predictor has one of its own (kserve/kserve@pkg/constants/constants.go), so that a model
        that is called like another one's predictor would share it.
        """
        if release.strategy == "route":
            return
        namespace = release.environment.namespace
        workloads = (variant.workload for variant in release.variants)
        for name in dict.fromkeys((release.model, f"{release.model}-predictor", *workloads)):
            yield f"{name}-{namespace}"

    def kinds(self, environment: Environment) -> tuple[Kind, ...]:
        """List the InferenceService."""
        return (Kind("serving.kserve.io", "InferenceService"),)


def is_self_loading(args: list[str]) -> bool:
    """Say whether an argument tells the runtime itself where the model is."""
    return any(arg.startswith(runtimes.SELF_LOADING_ARGS) for arg in args)
